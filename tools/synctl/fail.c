// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors. The first line says what was wanted, of what, and why it failed;
 * below it stands only what helps. With --json one object on stderr.
 */

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "synctl.h"

int exit_of_errno(int err)
{
	switch (err) {
	case 0:
		return EXIT_OK;
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return EXIT_NOT_FOUND;
	case EACCES:
		return EXIT_DENIED;
	case EPERM:
	case EBUSY:
	case EALREADY:
		return EXIT_STATE;
	case DMS_ENOFAMILY:
		return EXIT_NO_MODULE;
	case EIO:
		return EXIT_IO;
	case ETIMEDOUT:
		return EXIT_TIMEOUT;
	case EINTR:
		return EXIT_INTERRUPTED;
	case EBADMSG:
	case ENOBUFS:
		return EXIT_INCOMPLETE;
	default:
		return EXIT_REFUSED;
	}
}

static struct json_object *text_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static void print_json(const struct failure *f, const char *message,
		       const char *attribute)
{
	struct json_object *top = json_object_new_object();
	struct json_object *e = json_object_new_object();

	json_object_object_add(e, "exit", json_object_new_int(f->code));
	json_object_object_add(e, "errno", text_or_null(f->err ?
			       strerrorname_np(f->err) : NULL));
	json_object_object_add(e, "message", json_object_new_string(message));
	json_object_object_add(e, "object", text_or_null(f->object));
	json_object_object_add(e, "attribute", text_or_null(attribute));
	json_object_object_add(e, "status", text_or_null(f->status));
	json_object_object_add(e, "hint", text_or_null(f->action));
	json_object_object_add(top, "error", e);
	fprintf(stderr, "%s\n",
		json_object_to_json_string_ext(top, JSON_C_TO_STRING_PLAIN |
					       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
}

static void print_text(const struct failure *f, const char *message)
{
	if (f->object)
		fprintf(stderr, "synctl: %s: %s\n", f->object, message);
	else
		fprintf(stderr, "synctl: %s\n", message);
	if (f->status)
		fprintf(stderr, "  status   %s\n", f->status);
	if (f->action)
		fprintf(stderr, "  action   %s\n", f->action);
}

int fail(const struct failure *f, const char *fmt, ...)
{
	char message[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (f->args && f->args->json)
		print_json(f, message, NULL);
	else
		print_text(f, message);
	return f->code;
}

int usage(const struct args *args, const char *fmt, ...)
{
	struct failure f = { .args = args, .code = EXIT_USAGE };
	char message[512];
	char action[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	snprintf(action, sizeof(action), "`synctl help%s%s` shows what there is",
		 args && args->command ? " " : "",
		 args && args->command ? args->command->name : "");
	f.action = action;
	return fail(&f, "%s", message);
}

int fail_absent(const struct args *args)
{
	struct failure f = { .args = args, .code = EXIT_NO_MODULE, .err = 0 };

	switch (dms_absence()) {
	case 'n':
		f.action = "run synctl in the host's network namespace";
		return fail(&f, "dm-sync cannot be reached from this network namespace");
	case 'm':
		f.action = "`modprobe dm-sync` loads it; creating a pair does so too";
		return fail(&f, "dm-sync is not loaded");
	default:
		f.status = "the module is there, its netlink family is not seen from here";
		f.action = "look into the kernel log; perhaps this is another network namespace";
		return fail(&f, "dm-sync does not answer");
	}
}

/* The kernel's own words, or the best that can be made of what it sent. */
static void reason_text(const struct dms_error *e, int err, char *text, size_t size)
{
	const struct shim_error *k = &e->kernel;

	if (e->attr_missing && e->attr)
		snprintf(text, size, "the request lacks \"%s\"", e->attr->name);
	else if (k->has_range && e->attr)
		snprintf(text, size, "%s must be %llu to %llu", e->attr->name,
			 (unsigned long long)k->min, (unsigned long long)k->max);
	else if (k->text[0])
		snprintf(text, size, "%s", k->text);
	else
		snprintf(text, size, "%s", strerror(err));
}

/* Which operations the pair admits now, the best hint there is */
static void allowed_text(const struct dms_pair *pair, char *text, size_t size)
{
	uint32_t bits = GET(pair, ALLOWED_OPS);
	unsigned int op;
	size_t at = 0;

	text[0] = 0;
	for (op = 0; op < 32; op++) {
		if (!(bits >> op & 1) || !command_verb(op))
			continue;
		at += snprintf(text + at, size - at, "%s%s",
			       at ? ", " : "allowed now: ", command_verb(op));
		if (at >= size)
			return;
	}
}

int fail_kernel(const struct args *args, const struct dms_pair *pair,
		const char *what, int err)
{
	const struct dms_error *e = dms_error(args->client);
	struct failure f = { .args = args };
	char reason[SHIM_TEXT_MAX + 64];
	char status[128] = "";
	char allowed[512] = "";
	char message[512];

	f.err = err < 0 ? -err : err;
	if (f.err == DMS_ENOFAMILY)
		return fail_absent(args);
	f.code = exit_of_errno(f.err);
	reason_text(e, f.err, reason, sizeof(reason));
	snprintf(message, sizeof(message), "cannot %s: %s", what, reason);
	if (pair) {
		f.object = pair->name;
		snprintf(status, sizeof(status), "%s, %s",
			 spec_text(&spec_copy_state, GET(pair, COPY_STATE)),
			 spec_text(&spec_progress_status, GET(pair, PROGRESS_STATUS)));
		f.status = status;
		if (f.code == EXIT_STATE && HAS(pair, ALLOWED_OPS))
			allowed_text(pair, allowed, sizeof(allowed));
		f.action = allowed[0] ? allowed : NULL;
	}
	if (args->json) {
		print_json(&f, message, e->attr ? e->attr->name : NULL);
		return f.code;
	}
	print_text(&f, message);
	fprintf(stderr, "  kernel   %s%s%s", strerrorname_np(f.err),
		e->kernel.text[0] ? ": " : "", e->kernel.text);
	if (e->attr)
		fprintf(stderr, "        (attribute: %s)", e->attr->name);
	fprintf(stderr, "\n");
	return f.code;
}

void note_kernel(const struct args *args, const char *object)
{
	const struct dms_error *e = dms_error(args->client);

	if (e->kernel.text[0] && !e->kernel.err && !given(args, OPT_QUIET))
		fprintf(stderr, "synctl: %s: note: %s\n", object, e->kernel.text);
}
