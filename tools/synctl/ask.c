// SPDX-License-Identifier: GPL-2.0-only
/* Questions before something that cannot be undone, and requests in words. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"

int ask(const struct args *args, const char *object, const char *warning)
{
	struct failure f = { .args = args, .code = EXIT_USAGE, .object = object };
	char answer[16];

	if (given(args, OPT_YES) || given(args, OPT_DRY_RUN))
		return EXIT_OK;
	if (!isatty(0) || args->json) {
		f.status = warning;
		f.action = "give --yes if that is what you want";
		return fail(&f, "this needs a confirmation");
	}
	fprintf(stderr, "%s: %s\nGo on? [y/N] ", object, warning);
	fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return EXIT_OK;
	return fail(&f, "not done");
}

void print_request(const struct dms_request *request)
{
	unsigned int i;

	printf("netlink %s %s", DM_SYNC_FAMILY_NAME, spec_cmds[request->cmd].name);
	for (i = 0; i < request->count; i++) {
		const struct spec_attr *a = &spec_attrs_pair[request->attrs[i].type];

		if (a->type == SPEC_STRING)
			printf(" %s:%s", a->name, request->attrs[i].text);
		else
			printf(" %s:%" PRIu64, a->name, request->attrs[i].value);
		if (a->values)
			printf("(%s)", spec_text(a->values, request->attrs[i].value));
	}
	printf("\n");
}

int sum_up(unsigned int tried, unsigned int failed, int code)
{
	return failed && tried > 1 ? EXIT_SOME_FAILED : code;
}

int send_one(struct args *args, const struct dms_pair *pair, const struct dms_request *request)
{
	int err;

	if (given(args, OPT_DRY_RUN)) {
		print_request(request);
		return EXIT_OK;
	}
	err = dms_send(args->client, request, NULL);
	if (err == -EALREADY)
		err = 0;
	if (err)
		return fail_kernel(args, pair, args->command->name, err);
	note_kernel(args, pair->name);
	if (given(args, OPT_VERBOSE))
		printf("%s: %s accepted\n", pair->name, args->command->name);
	return EXIT_OK;
}
