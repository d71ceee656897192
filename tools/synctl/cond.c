// SPDX-License-Identifier: GPL-2.0-only
/* Conditions on a pair: what `wait --for` takes. */

#include <stdlib.h>
#include <string.h>

#include "wait.h"

static const struct {
	const char *text;
	enum cond_op op;
} operators[] = {
	/* the longer ones first */
	{ "==", COND_EQ }, { "!=", COND_NE }, { ">=", COND_GE }, { "<=", COND_LE },
	{ "=", COND_EQ }, { ">", COND_GT }, { "<", COND_LT },
};

static bool parse_value(const struct field *field, const char *text, uint64_t *value)
{
	uint32_t code;
	char *end;

	if (field->kind == FIELD_ENUM) {
		if (!spec_parse(spec_attrs_pair[field->attr].values, text, &code))
			return false;
		*value = code;
		return true;
	}
	if (field->kind == FIELD_BOOL && (spec_same(text, "yes") || spec_same(text, "true")))
		*value = 1;
	else if (field->kind == FIELD_BOOL && (spec_same(text, "no") || spec_same(text, "false")))
		*value = 0;
	else if (field->kind == FIELD_BYTES)
		return parse_size(text, value);
	else {
		*value = strtoull(text, &end, 0);
		return *text && !*end;
	}
	return true;
}

bool cond_parse(const char *text, struct cond *cond)
{
	char name[64];
	size_t i, len = strcspn(text, "=!<>");
	uint32_t state;

	memset(cond, 0, sizeof(*cond));
	if (spec_same(text, "settled") || !text[0]) {
		cond->kind = COND_SETTLED;
		return true;
	}
	if (spec_same(text, "gone") || spec_same(text, "not applicable")) {
		cond->kind = COND_GONE;
		return true;
	}
	cond->kind = COND_FIELD;
	if (!text[len]) {
		cond->field = field_find("copy_state");
		if (!spec_parse(&spec_copy_state, text, &state))
			return false;
		cond->value = state;
		return true;
	}
	if (len >= sizeof(name))
		return false;
	memcpy(name, text, len);
	name[len] = 0;
	cond->field = field_find(name);
	if (!cond->field)
		return false;
	for (i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t n = strlen(operators[i].text);

		if (strncmp(text + len, operators[i].text, n))
			continue;
		cond->op = operators[i].op;
		text += len + n;
		while (*text == ' ')
			text++;
		return parse_value(cond->field, text, &cond->value);
	}
	return false;
}

/* A field that is NULL is different from every value and compares with none. */
bool cond_holds(const struct cond *cond, const struct dms_pair *pair)
{
	uint64_t value;

	if (cond->kind == COND_GONE)
		return !pair;
	if (!pair)
		return false;
	if (cond->kind == COND_SETTLED)
		return !dms_running(pair);
	if (!pair->has[cond->field->attr])
		return cond->op == COND_NE;
	value = pair->value[cond->field->attr];
	switch (cond->op) {
	case COND_EQ:
		return value == cond->value;
	case COND_NE:
		return value != cond->value;
	case COND_GE:
		return value >= cond->value;
	case COND_LE:
		return value <= cond->value;
	case COND_GT:
		return value > cond->value;
	default:
		return value < cond->value;
	}
}
