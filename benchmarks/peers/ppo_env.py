"""The collaboration environment in PyTorch tensors: E episodes side by side, no loop over them.

A task has K pieces of its own and 4 foreign ones. An episode deals the K pieces of its task among n
of at most N agents; agent 0, the asker, has to hold the whole gold set S. What an agent holds is a
bit mask over the K slots; `passed[i, j]` are the slots that went between i and j in either
direction, all ones where j == i or one of the two does not exist, so that
`holds[i] & ~passed[i, j]` is what i can still give to j.

Actions, A = 2N(N-1) + 2N + 2: SEND(i->j), REQUEST(i->j), BROADCAST(i), ALONE(i), ANSWER, ABSTAIN.
Reward: g Phi(s') - Phi(s) - .5 messages - .1 deliveries - .05 a turn, Phi = 5 |S held by the
asker| / |S|; +20 for ANSWER with S held, +10 for ABSTAIN where S cannot be had, -10 for ending
otherwise and for running out of turns.

The piece that is sent is the best unsent one by a table of scores per task: one table for what the
sender knows (SEND, BROADCAST), one for what the requester knows (REQUEST). ALONE is never legal
here (no read limit)."""

import torch

N, K, FOREIGN, TURNS = 10, 10, 4, 20
ROWS = K + FOREIGN
PAIRS = N * (N - 1)
ACTIONS = 2 * PAIRS + 2 * N + 2
SEND, REQUEST, BROADCAST, ALONE, ANSWER, ABSTAIN = range(6)
SUFFICIENT, CLOSABLE, UNANSWERABLE = range(3)
INTERACTION, META_MESSAGE, META_ITEM = 64, 31, 15
MESSAGE = INTERACTION + 1 + META_MESSAGE
ITEM = INTERACTION + 1 + META_ITEM
PAIR_I, PAIR_J = [t.contiguous() for t in (~torch.eye(N, dtype=torch.bool)).nonzero().unbind(1)]
OFF_DIAGONAL = PAIR_I * N + PAIR_J
SLOT = torch.arange(K, dtype=torch.int32)
EVERY_BIT = (1 << K) - 1


def action_tables():
    """Kind, first and second agent of every action; both agents are 0 for ANSWER and ABSTAIN."""
    agent = torch.arange(N)
    end = torch.zeros(2, dtype=torch.long)
    kind = torch.cat([torch.full((n,), k) for k, n in enumerate((PAIRS, PAIRS, N, N, 1, 1))])
    return (
        kind,
        torch.cat((PAIR_I, PAIR_I, agent, agent, end)),
        torch.cat((PAIR_J, PAIR_J, agent, agent, end)),
    )


class Tasks:
    """Random tasks: the cost of an environment does not depend on what the numbers say."""

    def __init__(self, count=1024):
        self.count = count
        logit = torch.randn(count, ROWS, 1)
        interaction = torch.rand(count, ROWS, INTERACTION)
        self.item = torch.cat((interaction, logit), 2).flatten(0, 1)  # (count*ROWS, 65)
        self.pair = torch.cat((interaction[..., :43], logit), 2).flatten(0, 1)  # (count*ROWS, 44)
        self.score = torch.rand(count, 2, ROWS)  # sender's, requester's
        size = torch.randint(2, 5, (count, 1))
        self.gold = torch.arange(K) < size  # (count, K)


class Env:
    def __init__(self, tasks, episodes):
        self.tasks, self.E = tasks, episodes
        self.kind_of, self.first_of, self.second_of = action_tables()
        self.each = torch.arange(episodes)
        self.agent = torch.arange(N)
        self.n = torch.zeros(episodes, dtype=torch.long)
        self.stratum = torch.zeros(episodes, dtype=torch.long)
        self.task = torch.zeros(episodes, dtype=torch.long)
        self.row = torch.zeros(episodes, K, dtype=torch.long)  # slot -> row of the task tables
        self.score = torch.zeros(episodes, 2, K)
        self.useful = torch.zeros(episodes, dtype=torch.int32)  # gold slots that are present
        self.need = torch.ones(episodes)  # |S|
        self.holds = torch.zeros(episodes, N, dtype=torch.int32)
        self.passed = torch.zeros(episodes, N, N, dtype=torch.int32)
        self.sent = torch.zeros(episodes, N, N)  # pieces that went from i to j
        self.arrival = torch.zeros(episodes, N, K, dtype=torch.int16)  # turn; -1: own or not held
        self.turn = torch.zeros(episodes, dtype=torch.long)
        self.budget = torch.zeros(episodes)  # messages so far
        self.changed = torch.zeros(episodes, N, dtype=torch.bool)  # memory changed in the last step
        self.fresh = torch.zeros(episodes, dtype=torch.bool)  # reset in the last step
        self.last = [
            torch.zeros(episodes, dtype=torch.long) for _ in range(4)
        ]  # kind, giver, taker, slot
        self.popcount = torch.tensor(
            [bin(b).count("1") for b in range(1 << K)], dtype=torch.float32
        )
        self.phi = torch.zeros(episodes)
        self.reset(self.each)

    def reset(self, which):
        """Deals new episodes into the places `which` (a list of indices)."""
        m = which.numel()
        task = torch.randint(self.tasks.count, (m,))
        draw = torch.rand(m)
        stratum = (draw > 0.25).long() + (draw > 0.85).long()
        n = torch.randint(2, N + 1, (m,))
        gold = self.tasks.gold[task]
        need = gold.sum(1)
        # Sizes first: owners of the K places; the asker has |S| at least, and somebody else one at
        # least.
        owner = (torch.rand(m, K) * n[:, None]).long()
        owner.masked_fill_(SLOT < need[:, None], 0)
        owner[:, -1] = 1 + (torch.rand(m) * (n - 1)).long()
        # Then the slots, in random order, into those places: gold to the asker where it suffices,
        # one gold slot into the last place (never the asker's) where it must be fetched.
        slot_key = torch.rand(m, K) - 2 * (gold & (stratum == SUFFICIENT)[:, None])
        slot_key[:, 0] += 2 * (stratum == CLOSABLE)
        place_key = torch.rand(m, K) + 2 * ((owner > 0) & (stratum == SUFFICIENT)[:, None])
        place_key[:, -1] += 2
        owner = owner.gather(1, place_key.argsort(1))
        bits = 1 << SLOT.expand(m, K).gather(1, slot_key.argsort(1))
        holds = torch.zeros(m, N, dtype=torch.int32).scatter_add_(1, owner, bits)
        # Foreign rows: one distractor in every stratum, one gold slot where the task cannot be
        # solved.
        row = torch.arange(K).repeat(m, 1)
        row[:, -1] = K + torch.randint(2, (m,))
        lost = stratum == UNANSWERABLE
        row[:, 0] = torch.where(lost, K + 2 + torch.randint(2, (m,)), row[:, 0])
        self.score[which] = self.tasks.score[task].gather(2, row[:, None].expand(-1, 2, -1))
        alive = self.agent < n[:, None]
        open_pair = alive[:, :, None] & alive[:, None] & (self.agent[:, None] != self.agent)
        self.passed[which] = torch.where(open_pair, 0, EVERY_BIT).to(torch.int32)
        useful = (gold.int() << SLOT).sum(1, dtype=torch.int32) & ~lost.int()
        self.n[which], self.stratum[which], self.task[which] = n, stratum, task
        self.row[which] = row + (task * ROWS)[:, None]
        self.useful[which], self.need[which], self.holds[which] = useful, need.float(), holds
        self.sent[which] = 0
        self.arrival[which] = -1
        self.turn[which] = 0
        self.budget[which] = 0
        self.changed[which] = alive
        self.fresh[which] = True
        self.phi[which] = self.popcount[(holds[:, 0] & useful).long()] * 5 / need

    def legal(self):
        """(E, A) bool."""
        can = (self.holds[:, :, None] & ~self.passed) != 0
        send = can.flatten(1).index_select(1, OFF_DIAGONAL)
        request = can.transpose(1, 2).flatten(1).index_select(1, OFF_DIAGONAL)
        mask = torch.zeros(self.E, ACTIONS, dtype=torch.bool)
        mask[:, :PAIRS] = send
        mask[:, PAIRS : 2 * PAIRS] = request
        mask[:, 2 * PAIRS : 2 * PAIRS + N] = can.any(2)
        mask[:, -2:] = True
        return mask

    def step(self, action, gamma=0.99):
        """Returns reward (E) and done (E); ended episodes are replaced at once."""
        reward, done = self.advance(action, gamma)
        which = done.nonzero().squeeze(1)
        if which.numel():
            self.reset(which)
        return reward, done

    def advance(self, action, gamma):
        """The step without the replacement: static shapes, so that it can be compiled."""
        each = self.each
        kind, first, second = self.kind_of[action], self.first_of[action], self.second_of[action]
        asks, all_others = kind == REQUEST, kind == BROADCAST
        giver, taker = torch.where(asks, second, first), torch.where(asks, first, second)
        ends = kind >= ANSWER
        row = self.holds[each, giver][:, None] & ~self.passed[each, giver]  # (E, N)
        takes = (
            torch.where(
                all_others[:, None],
                (self.agent != giver[:, None]) & (self.agent < self.n[:, None]),
                self.agent == taker[:, None],
            )
            & ~ends[:, None]
        )
        free = (((row * takes)[:, :, None] >> SLOT) & 1).any(1)  # (E, K)
        slot = self.score[each, asks.long()].masked_fill(~free, -1).argmax(1)
        bit = takes * (1 << slot.int())[:, None]  # (E, N)
        self.changed = (bit & ~self.holds) != 0
        self.holds |= bit
        self.passed[each, giver] |= bit
        self.passed[each, :, giver] |= bit
        self.sent[each, giver] += takes
        place = slot[:, None, None].expand(-1, N, 1)
        before = self.arrival.gather(2, place)
        now = self.turn.to(torch.int16)[:, None, None]
        self.arrival.scatter_(2, place, torch.where(self.changed[:, :, None], now, before))
        self.turn += 1
        messages = torch.where(ends, 0.0, 1.0) + asks
        self.budget += messages

        have = self.popcount[(self.holds[:, 0] & self.useful).long()]
        enough = have == self.need
        done = ends | (self.turn >= TURNS)
        good = torch.where(enough & (kind == ANSWER), 20.0, -10.0)
        good = torch.where((self.stratum == UNANSWERABLE) & (kind == ABSTAIN), 10.0, good)
        phi = torch.where(done, 0.0, have * 5 / self.need)
        reward = (
            gamma * phi
            - self.phi
            - 0.5 * messages
            - 0.1 * takes.sum(1)
            - 0.05
            + torch.where(done, good, 0.0)
        )
        self.phi = phi
        self.last = [kind, giver, taker, slot]
        self.fresh = done.clone()
        return reward, done

    def message(self):
        """(E, 96): what was said in the last turn; nothing where an episode begins."""
        kind, giver, taker, slot = self.last
        body = torch.where(self.fresh[:, None], 0.0, self.tasks.item[self.row[self.each, slot]])
        meta = torch.zeros(self.E, META_MESSAGE)
        meta[:, 0], meta[:, 1], meta[:, 2] = giver == 0, taker == 0, kind == BROADCAST
        meta[:, 3] = self.arrival[self.each, giver, slot] < 0
        meta.scatter_(1, 4 + kind[:, None], 1.0)
        meta[:, 10], meta[:, 11], meta[:, 12] = self.turn / TURNS, self.budget / TURNS, self.fresh
        return torch.cat((body, meta), 1)

    def items(self, e, i):
        """Item vectors (T, m, 80) of agents (e, i) by arrival, their number, their logits."""
        held = ((self.holds[e, i][:, None] >> SLOT) & 1).bool()  # (m, K)
        count = held.sum(1)
        arrival = self.arrival[e, i]
        order = torch.where(held, arrival.long(), 99).argsort(stable=True, dim=1)[
            :, : int(count.max())
        ]
        row = self.row[e].gather(1, order).t()  # (T, m)
        body = self.tasks.item[row]
        came = arrival.gather(1, order).t()
        meta = torch.zeros(*row.shape, META_ITEM)
        meta[..., 0], meta[..., 1], meta[..., 2] = came < 0, came >= 0, (i == 0)
        meta[..., 3] = (self.turn[e] - came) / TURNS
        return torch.cat((body, meta), 2), count, body[..., -1]

    def pair_index(self):
        """Rows (E, 2, PAIRS) of the piece that SEND and REQUEST would move, and how many are unsent
        and were sent (E, 2, 2, PAIRS)."""
        unsent = self.holds[:, :, None] & ~self.passed  # (E, N, N)
        free = ((unsent[..., None] >> SLOT) & 1).bool()  # (E, N, N, K)
        ask = self.score[:, 1, None, None].masked_fill(~free, -1).argmax(3).transpose(1, 2)
        send = self.score[:, 0, None, None].masked_fill(~free, -1).argmax(3)
        slot = torch.stack((send, ask), 1).flatten(2).index_select(2, OFF_DIAGONAL)
        number = self.popcount[unsent.long()]
        number = torch.stack(
            (number, number.transpose(1, 2), self.sent, self.sent.transpose(1, 2)), 1
        )
        number = number.flatten(2).index_select(2, OFF_DIAGONAL) / K  # (E, 4, PAIRS)
        row = self.row.gather(1, slot.flatten(1)).view_as(slot)
        return row, number.view(self.E, 2, 2, PAIRS).transpose(1, 2)


def random_action(mask):
    """One of the legal actions of each row, all equally likely."""
    rank = mask.cumsum(1, dtype=torch.int16)
    wanted = (torch.rand(mask.shape[0], 1) * rank[:, -1:]).to(torch.int16) + 1
    return torch.searchsorted(rank, wanted).squeeze(1)
