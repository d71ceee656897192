// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asking a mirror for an operation.
 *
 * The state machine judges twice: in the caller's context, so that what is
 * refused, or would change nothing, costs the conductor nothing, and once more
 * when the conductor has come to it, for the state may have moved on.  The
 * caller waits until its operation is accepted or refused; what the operation
 * does goes on by itself.
 *
 * Requests are taken only while the pair is live, which is decided under the
 * lock that queues them; so a suspend, which ends that and then flushes the
 * conductor, leaves none behind.
 */
#include "dm-sync-ops.h"

#define DM_MSG_PREFIX "sync"

/* An operation asked for; counted by the caller and by the conductor. */
struct dm_sync_request {
	struct list_head list;
	struct kref ref;
	u32 operation;
	bool force;
	int result;
	const char *why;
	struct completion accepted;
};

static const int admit_errno[] = {
	[DM_SYNC_ADMIT_OK] = 0,
	[DM_SYNC_ADMIT_NOOP] = 0,
	[DM_SYNC_ADMIT_FORCE] = -EPERM,
	[DM_SYNC_ADMIT_REFUSED] = -EPERM,
	[DM_SYNC_ADMIT_BUSY] = -EBUSY,
	[DM_SYNC_ADMIT_UNSUPPORTED] = -EOPNOTSUPP,
	[DM_SYNC_ADMIT_INVALID] = -EINVAL,
};

static enum dm_sync_admit judge(struct dm_sync_mirror *m, u32 operation, bool force,
				const char **why)
{
	enum dm_sync_admit verdict = DM_SYNC_ADMIT_BUSY;
	struct dm_sync_facts f;

	*why = NULL;
	spin_lock_irq(&m->pair.lock);
	if (!m->pair.live || m->pair.gone) {
		*why = m->pair.gone ? "the pair has been detached" :
				      "the device is suspended";
	} else {
		dm_sync_facts_now(m, &f);
		verdict = dm_sync_admit(&m->pair.state, &f, operation, force, why);
		if (verdict == DM_SYNC_ADMIT_OK && !dm_sync_ops_has(operation))
			verdict = DM_SYNC_ADMIT_UNSUPPORTED;
	}
	spin_unlock_irq(&m->pair.lock);
	return verdict;
}

static void request_free(struct kref *ref)
{
	kfree(container_of(ref, struct dm_sync_request, ref));
}

/*
 * Who asked for a restore must not read the old source any more, and who asked for a
 * new point in time must not write into it.
 */
static bool is_a_moment(struct dm_sync_mirror *m, u32 operation)
{
	return operation == DM_SYNC_OPERATION_RESTORE ||
	       (m->is_clone && (operation == DM_SYNC_OPERATION_RESYNC ||
				operation == DM_SYNC_OPERATION_ACTIVATE));
}

/* A replica that may still write what a probe read; who leaves it by force was warned. */
static bool replica_is_silent(struct dm_sync_mirror *m, const struct dm_sync_request *req)
{
	bool leaves = req->operation == DM_SYNC_OPERATION_DETACH ||
		      req->operation == DM_SYNC_OPERATION_DISSOLVE;

	return dm_sync_resync_probing(m) && !(leaves && req->force);
}

static void carry_out(struct dm_sync_mirror *m, struct dm_sync_request *req)
{
	struct dm_sync_change c = { .operation = req->operation, .force = req->force };
	enum dm_sync_admit verdict = judge(m, req->operation, req->force, &req->why);
	struct dm_sync_facts f;
	int r;

	spin_lock_irq(&m->pair.lock);
	dm_sync_facts_now(m, &f);
	c.fracture_owed = f.fracture_owed;
	c.from = dm_sync_state_step(&m->pair.state);
	if (verdict == DM_SYNC_ADMIT_OK &&
	    !dm_sync_transition(&m->pair.state, &f, req->operation, &c.during, &c.after))
		verdict = DM_SYNC_ADMIT_UNSUPPORTED;
	spin_unlock_irq(&m->pair.lock);

	req->result = admit_errno[verdict];
	if (verdict == DM_SYNC_ADMIT_OK && replica_is_silent(m, req)) {
		req->result = -ETIMEDOUT;
		req->why = "the replica has not answered for 30 seconds";
		complete(&req->accepted);
		return;
	}
	if (verdict == DM_SYNC_ADMIT_OK && m->is_clone)
		dm_sync_clone_before(m, req->operation);
	if (verdict == DM_SYNC_ADMIT_OK)
		dm_sync_publish(&m->pair, &c.during, DM_SYNC_EVENT_CAUSE_OPERATION,
				req->operation, DM_SYNC_REASON_NONE);
	if (verdict != DM_SYNC_ADMIT_OK || !is_a_moment(m, req->operation))
		complete(&req->accepted);
	if (verdict != DM_SYNC_ADMIT_OK)
		return;
	r = dm_sync_ops_run(m, &c);
	if (r)
		dm_sync_take_back(m, &c);
	if (r && m->is_clone)
		dm_sync_clone_turn(m);
	if (is_a_moment(m, req->operation)) {
		req->result = r;
		req->why = !r ? NULL : req->operation == DM_SYNC_OPERATION_RESTORE ?
			   "the restore could not be begun" :
			   "the point in time could not be taken";
		complete(&req->accepted);
	}
}

static void do_requests(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, request_work);
	struct dm_sync_request *req;

	for (;;) {
		spin_lock_irq(&m->pair.lock);
		req = list_first_entry_or_null(&m->requests, struct dm_sync_request, list);
		if (req)
			list_del_init(&req->list);
		spin_unlock_irq(&m->pair.lock);
		if (!req)
			return;
		carry_out(m, req);
		kref_put(&req->ref, request_free);
	}
}

/**
 * dm_sync_mirror_operate - ask the conductor for an operation
 * @pair: the mirror's
 * @operation: enum dm_sync_operation
 * @flags: DM_SYNC_OP_FORCE, DM_SYNC_OP_DRY_RUN
 * @why: out: a constant sentence when refused
 *
 * For dm_sync_pair_operate(), which tells the rest.
 *
 * Context: may sleep; no lock held.
 * Return: 0 or a negative errno.
 */
int dm_sync_mirror_operate(struct dm_sync_pair *pair, u32 operation, u32 flags,
			   const char **why)
{
	struct dm_sync_mirror *m = to_mirror(pair);
	bool force = flags & DM_SYNC_OP_FORCE;
	enum dm_sync_admit verdict = judge(m, operation, force, why);
	struct dm_sync_request *req;
	int r = admit_errno[verdict];

	if (verdict != DM_SYNC_ADMIT_OK || (flags & DM_SYNC_OP_DRY_RUN))
		return r;
	req = kzalloc(sizeof(*req), GFP_KERNEL);
	if (!req)
		return -ENOMEM;
	kref_init(&req->ref);
	kref_get(&req->ref);
	init_completion(&req->accepted);
	req->operation = operation;
	req->force = force;

	spin_lock_irq(&pair->lock);
	if (pair->live) {
		list_add_tail(&req->list, &m->requests);
		queue_work(m->conductor, &m->request_work);
	} else {
		*why = "the device is suspended";
		req->result = -EBUSY;
		complete(&req->accepted);
		kref_put(&req->ref, request_free);
	}
	spin_unlock_irq(&pair->lock);

	r = wait_for_completion_killable(&req->accepted);
	if (r) {
		r = -EINTR;
	} else {
		r = req->result;
		if (req->why)
			*why = req->why;
	}
	kref_put(&req->ref, request_free);
	return r;
}

/**
 * dm_sync_requests_init - set up what operations are asked for through
 * @m: the mirror
 */
void dm_sync_requests_init(struct dm_sync_mirror *m)
{
	INIT_LIST_HEAD(&m->requests);
	INIT_WORK(&m->request_work, do_requests);
}
