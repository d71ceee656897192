/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a source and its images may hold, as far as a log has told.
 *
 * A *thing* is the source, an image, or the replica of a clone. What it may hold is a
 * *version* of it: in each sector the stamp of its beginning, while nothing written
 * since is acknowledged there; or one of its own writes since then, not older than the
 * last that was acknowledged. Whose write it is is the low byte of a sequence number.
 * So a sector that got into an image from the source, after the image's point in time, is
 * never legal there, and neither is any other than that of the beginning.
 *
 * Where something was asked for that was not yet promised, a thing may hold one of two
 * versions, each as a whole.
 *
 * Marks, all with the time (nanoseconds) at their end, X being the letter of an image:
 *
 *	begin		the source is stamped: points begin here
 *	created		the set was made: from now on it must come up
 *	taking:X	a point in time is asked for; promised:X: it is there. The file X.N is
 *			what it holds, for the N-th taking, as it was read from the image's door
 *	resetting:X	own writes are about to be given up; reset:X: they are
 *	ending:X	a deletion is asked for; gone:X: it is carried out
 *	full, room	from here to there images may be given up for want of space
 *	failing		from here on images may be given up; dropped:X: this one was
 *	void:X		what the replica holds is of no use from here on, until the next taking
 *	restore:X	asked for, nobody writes; restoring:X: hosts see it; restored:X: complete
 */
#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include <fcntl.h>
#include "crash.h"

struct version {
	uint64_t *ref;			/* sequence numbers; 0: zeroes */
	uint64_t *acked;		/* of own writes since, or 0 */
	uint64_t after;			/* own writes are newer than this */
};

enum presence { ABSENT, ASKED, THERE, ENDING, DROPPED, VOID };

struct thing {
	char letter;
	enum presence presence;
	bool has_next;
	unsigned int taken;
	struct version cur, next;
};

static struct model {
	uint64_t sectors;
	const char *refs;		/* directory */
	struct thing source, image[26];
	uint8_t *may_be_zero;		/* of the source */
	uint64_t *floor;		/* acknowledged there when the last image was asked for */
	uint8_t *was_zero;		/* may_be_zero at that time */
	bool may_drop, restoring;
} model;

static struct thing *thing_of(char letter)
{
	if (letter == 's')
		return &model.source;
	if (letter < 'a' || letter > 'z')
		die("no image has the letter %c", letter);
	return &model.image[letter - 'a'];
}

static uint64_t *numbers(void)
{
	return must_alloc(model.sectors * sizeof(uint64_t));
}

static void version_free(struct version *v)
{
	free(v->ref);
	free(v->acked);
	*v = (struct version){ 0 };
}

static void version_make(struct version *v, uint64_t *ref, uint64_t after)
{
	version_free(v);
	v->ref = ref;
	v->acked = numbers();
	v->after = after;
}

static void become_next(struct thing *t)
{
	if (!t->has_next)
		die("%c is promised what it was not asked for", t->letter);
	version_free(&t->cur);
	t->cur = t->next;
	t->next = (struct version){ 0 };
	t->has_next = false;
}

static void ask_for(struct thing *t, uint64_t *ref, uint64_t after)
{
	version_make(&t->next, ref, after);
	t->has_next = true;
}

static bool all_zero(const void *sector)
{
	const uint64_t *w = sector;

	return !w[0] && !memcmp(w, w + 1, SECTOR - 8);
}

static void model_init(uint64_t sectors, const char *refs)
{
	unsigned int i;

	model.sectors = sectors;
	model.refs = refs;
	model.may_be_zero = must_alloc(sectors);
	model.was_zero = must_alloc(sectors);
	model.floor = numbers();
	model.source.letter = 's';
	model.source.presence = THERE;
	for (i = 0; i < 26; i++)
		model.image[i].letter = 'a' + i;
}

/* The stamps of all sectors in @data. */
static uint64_t *stamps_of(const char *data, const char *what)
{
	uint64_t *ref = numbers(), i;

	for (i = 0; i < model.sectors; i++)
		if (!all_zero(data + i * SECTOR) && stamp_check(data + i * SECTOR, i, &ref[i]))
			die("sector %llu of %s is not stamped", (unsigned long long)i, what);
	return ref;
}

static uint64_t *stamps_of_file(const struct thing *t)
{
	char *data = must_alloc(model.sectors * SECTOR), path[512];
	uint64_t *ref;
	int fd;

	snprintf(path, sizeof(path), "%s/%c.%u", model.refs, t->letter, t->taken);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	pread_all(fd, data, model.sectors * SECTOR, 0, path);
	close(fd);
	ref = stamps_of(data, path);
	free(data);
	return ref;
}

/* All is acknowledged: what exactly a thing holds. */
static uint64_t *content_of(const struct version *v)
{
	uint64_t *ref = numbers(), i;

	for (i = 0; i < model.sectors; i++)
		ref[i] = v->acked[i] ? v->acked[i] : v->ref[i];
	return ref;
}

/*----------------------------------------------------------------
 * Marks
 *--------------------------------------------------------------*/

static void model_acknowledge(char letter, const char *text)
{
	struct thing *t = thing_of(letter);
	unsigned long long lba, seq;
	unsigned int len, i;
	int used;

	while (sscanf(text, ":%llx,%x,%llx%n", &lba, &len, &seq, &used) == 3) {
		text += used;
		for (i = 0; seq && i < len && lba + i < model.sectors; i++) {
			if (t->cur.acked && t->cur.acked[lba + i] < seq)
				t->cur.acked[lba + i] = seq;
			if (t->has_next && t->next.acked[lba + i] < seq)
				t->next.acked[lba + i] = seq;
			if (letter == 's')
				model.may_be_zero[lba + i] = 0;
		}
	}
}

static void model_discard(const char *text)
{
	unsigned long long lba;
	unsigned int len;

	if (sscanf(text, "s:%llx,%x", &lba, &len) != 2 || lba + len > model.sectors)
		die("not a discard: %s", text);
	memset(model.may_be_zero + lba, 1, len);
}

static void taking(struct thing *t, uint64_t now)
{
	t->taken++;
	ask_for(t, stamps_of_file(t), now);
	if (t->presence != THERE && t->presence != VOID)
		t->presence = ASKED;
	memcpy(model.floor, model.source.cur.acked, model.sectors * sizeof(*model.floor));
	memcpy(model.was_zero, model.may_be_zero, model.sectors);
}

/* What was read from the image is of that moment. */
static void promised(struct thing *t, uint64_t now)
{
	const struct version *s = &model.source.cur;
	uint64_t i, seq;

	for (i = 0; i < model.sectors; i++) {
		seq = t->next.ref[i];
		if ((seq == s->ref[i] && !model.floor[i]) ||
		    (!seq && (model.may_be_zero[i] || model.was_zero[i])))
			continue;
		if ((seq & 0xff) == 's' && seq >= model.floor[i] && seq <= now)
			continue;
		die("the image %c was taken wrong: sector %llu has %llx, acknowledged was %llx",
		    t->letter, (unsigned long long)i, (unsigned long long)seq,
		    (unsigned long long)model.floor[i]);
	}
	become_next(t);
	t->presence = THERE;
}

static void mark_of_image(const char *word, struct thing *t, uint64_t now)
{
	if (!strcmp(word, "taking"))
		taking(t, now);
	else if (!strcmp(word, "promised"))
		promised(t, now);
	else if (!strcmp(word, "resetting"))
		ask_for(t, memcpy(numbers(), t->cur.ref, model.sectors * 8), now);
	else if (!strcmp(word, "reset"))
		become_next(t);
	else if (!strcmp(word, "ending"))
		t->presence = ENDING;
	else if (!strcmp(word, "gone"))
		t->presence = ABSENT;
	else if (!strcmp(word, "dropped"))
		t->presence = DROPPED;
	else if (!strcmp(word, "void"))
		t->presence = VOID;
	else
		die("unknown mark %s", word);
}

static void mark_of_restore(const char *word, struct thing *t, uint64_t now)
{
	if (!strcmp(word, "restore")) {
		ask_for(&model.source, content_of(&t->cur), now);
		model.restoring = true;
	} else if (!strcmp(word, "restoring")) {
		become_next(&model.source);
		memset(model.may_be_zero, 0, model.sectors);
	} else {
		model.restoring = false;
	}
}

/* "WORD", or "WORD:X" with the letter of an image, and the time */
static void model_mark(const char *text, const char *source)
{
	char word[32], letter = 0;
	unsigned long long now = 0;

	if (sscanf(text, "%31[a-z]:%c:%llu", word, &letter, &now) != 3 &&
	    sscanf(text, "%31[a-z]:%llu", word, &now) < 1)
		die("not a mark: %s", text);
	if (!strcmp(word, "begin"))
		version_make(&model.source.cur, stamps_of(source, "the source"), now);
	else if (!strcmp(word, "full") || !strcmp(word, "failing"))
		model.may_drop = true;
	else if (!strcmp(word, "room"))
		model.may_drop = false;
	else if (!strncmp(word, "restor", 6))
		mark_of_restore(word, thing_of(letter), now);
	else if (letter && letter != ':' && (letter < '0' || letter > '9'))
		mark_of_image(word, thing_of(letter), now);
}

/*----------------------------------------------------------------
 * Checks
 *--------------------------------------------------------------*/

/* What is wrong with a sector of @t, of version @v; NULL: nothing. */
static const char *wrong(const struct thing *t, const struct version *v, uint64_t i,
			 const void *sector, uint64_t *seq)
{
	enum stamp_fault fault = stamp_check(sector, i, seq);
	uint64_t acked = v->acked[i];

	if (all_zero(sector)) {
		*seq = 0;
		if ((!v->ref[i] && !acked) || (t->letter == 's' && model.may_be_zero[i]))
			return NULL;
		return "zeroes";
	}
	if (fault)
		return stamp_fault_name(fault);
	if (*seq == v->ref[i])
		return acked ? "older than acknowledged" : NULL;
	if ((*seq & 0xff) != (uint8_t)t->letter)
		return *seq > v->after ? "from after its point in time" : "of another time";
	if (*seq <= v->after)
		return "what was given up";
	return *seq < acked ? "older than acknowledged" : NULL;
}

/* Does @data hold the version? If not, one sector that shows it is left in @why. */
static bool holds(const struct thing *t, const struct version *v, const char *data, char *why,
		  size_t size)
{
	const char *what = NULL, *now;
	uint64_t i, seq, bad = 0;

	*why = 0;
	for (i = 0; i < model.sectors; i++) {
		now = wrong(t, v, i, data + i * SECTOR, &seq);
		if (!now)
			continue;
		if (!bad++)
			snprintf(why, size, "sector %llu is %s: %llx, it began with %llx, acknowledged %llx",
				 (unsigned long long)i, what = now, (unsigned long long)seq,
				 (unsigned long long)v->ref[i], (unsigned long long)v->acked[i]);
	}
	if (bad)
		snprintf(why + strlen(why), size - strlen(why), "; and %llu more",
			 (unsigned long long)bad - 1);
	return !bad;
}

/* Is @data what the thing may be now? @why: 400 bytes. */
static bool legal(const struct thing *t, const char *data, char *why)
{
	char next[200] = "";

	*why = 0;
	if (t->cur.ref && t->presence != ASKED && holds(t, &t->cur, data, why, 200))
		return true;
	if (t->has_next && holds(t, &t->next, data, next, sizeof(next)))
		return true;
	if (*next)
		snprintf(why + strlen(why), 200, "%s%s", *why ? " | or: " : "", next);
	return false;
}

#endif
