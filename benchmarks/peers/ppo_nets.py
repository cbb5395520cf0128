"""The networks of the policy in PyTorch, at our sizes; weights are random, features are data.

State encoder 96 -> 256 -> LSTM 512; collaborator model 80 -> 256 -> BiLSTM 2 x 128 -> attention
-> 256; gap detector 512-256-128-64-2 over pairs and over (agent, mean of the others); pair scorer
of width 64 over 48 features; critic."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ppo_env import ACTIONS, ITEM, MESSAGE, N, PAIRS, PAIR_I, PAIR_J

STATE, CKM, ATTENTION, PAIR, PAIR_FEATURES = 512, 256, 128, 64, 48


class Collaborator(nn.Module):
    """Ragged: items (T, m, 80), of which count (m) are real, their logits (T, m) -> (m, 256)."""

    def __init__(self):
        super().__init__()
        self.inlet = nn.Linear(ITEM, 256)
        self.lstm = nn.LSTM(256, CKM // 2, bidirectional=True)
        self.key = nn.Linear(CKM, ATTENTION)
        self.query = nn.Linear(ATTENTION, 1, bias=False)
        self.empty = nn.Parameter(torch.zeros(CKM))

    def forward(self, items, count, logit):
        length = count.clamp(min=1).cpu()  # nn.LSTM refuses length 0: computed, then replaced
        packed = pack_padded_sequence(items, length, enforce_sorted=False)
        packed = packed._replace(data=self.inlet(packed.data))
        h, _ = pad_packed_sequence(self.lstm(packed)[0])
        weight = self.query(torch.tanh(self.key(h))).squeeze(-1) + logit
        alive = torch.arange(items.shape[0])[:, None] < count
        weight = torch.softmax(weight.masked_fill(~alive, -1e9), 0)
        out = (weight[..., None] * h).sum(0)
        return torch.where((count > 0)[:, None], out, self.empty)


class Gap(nn.Module):
    """Probabilities that j holds what i lacks (link, pairs), that i lacks something (gap, agents).

    Keeps what it computed for every agent and pair of E teams; only what a changed memory touches
    is recomputed: the first layer of changed agents, links to and from them, gaps of their teams.
    """

    def __init__(self, teams):
        super().__init__()
        self.first_left = nn.Linear(CKM, 256)
        self.first_right = nn.Linear(CKM, 256, bias=False)
        self.rest = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Linear(256, 128),
            nn.ReLU(inplace=True),
            nn.Linear(128, 64),
            nn.ReLU(inplace=True),
            nn.Linear(64, 2),
        )
        self.left, self.right = torch.zeros(teams, N, 256), torch.zeros(teams, N, 256)
        self.link, self.gap = torch.zeros(teams, PAIRS), torch.zeros(teams, N)

    def forward(self, e, i, ckm, n):
        """Agents (e, i) have new vectors ckm (m, 256); n (E): the teams' sizes."""
        self.left[e, i], self.right[e, i] = self.first_left(ckm), self.first_right(ckm)
        changed = torch.zeros(n.shape[0], N, dtype=torch.bool)
        changed[e, i] = True
        alive = torch.arange(N) < n[:, None]
        touched = (changed[:, PAIR_I] | changed[:, PAIR_J]) & alive[:, PAIR_I] & alive[:, PAIR_J]
        pe, p = touched.nonzero(as_tuple=True)
        ae, a = (changed.any(1, keepdim=True) & alive).nonzero(as_tuple=True)
        total = (self.right * alive[..., None]).sum(1)
        left, right = self.left.flatten(0, 1), self.right.flatten(0, 1)
        pairs = left[pe * N + PAIR_I[p]] + right[pe * N + PAIR_J[p]]
        own = left[ae * N + a] + (total[ae] - right[ae * N + a]) / (n[ae] - 1)[:, None]
        both = torch.sigmoid(self.rest(torch.cat((pairs, own))))
        self.link[pe, p] = both[: pe.numel(), 0]
        self.gap[ae, a] = both[pe.numel() :, 1]


class Policy(nn.Module):
    """Logits of the legal actions and the value."""

    def __init__(self):
        super().__init__()
        self.inlet = nn.Linear(MESSAGE, 256)
        self.cell = nn.LSTMCell(256, STATE)
        self.from_state = nn.Linear(STATE, 4 * PAIR)  # SEND, REQUEST, BROADCAST, ALONE
        self.from_i = nn.Linear(CKM, 4 * PAIR, bias=False)
        self.from_j = nn.Linear(CKM, 2 * PAIR, bias=False)
        self.from_pair = nn.ModuleList(nn.Linear(PAIR_FEATURES, PAIR, bias=False) for _ in range(2))
        self.weight = nn.Parameter(torch.randn(4, PAIR) * 0.01)
        self.whole = nn.Linear(STATE, 2)
        self.critic = nn.Sequential(
            nn.Linear(STATE + 2 * CKM + 2, 256), nn.Tanh(), nn.Linear(256, 1)
        )

    def logits(self, s, ckm, alive, legal, pair_features):
        """s (m, 512), ckm (m, N, 256), alive (m, N), legal (m, A); pair_features(kind, row, pair)
        gives (l, 48).

        Only agents alive and legal pairs are computed: their places are listed, the rest stays at
        minus infinity."""
        m = s.shape[0]
        live = alive.flatten()
        place = (live.cumsum(0) - 1).view(m, N)  # (row, agent) -> its place among the agents alive
        ckm = ckm.flatten(0, 1)[live]
        ps = self.from_state(s).view(m, 4, PAIR)
        qi, rj = self.from_i(ckm).view(-1, 4, PAIR), self.from_j(ckm).view(-1, 2, PAIR)
        out = s.new_full((m, ACTIONS), float("-inf"))
        for kind in (0, 1):
            e, p = legal[:, kind * PAIRS : (kind + 1) * PAIRS].nonzero(as_tuple=True)
            hidden = self.from_pair[kind](pair_features(kind, e, p))
            hidden = (
                hidden
                + ps[:, kind].index_select(0, e)
                + qi[:, kind].index_select(0, place[e, PAIR_I[p]])
            )
            hidden = torch.tanh(hidden + rj[:, kind].index_select(0, place[e, PAIR_J[p]]))
            out[e, kind * PAIRS + p] = hidden @ self.weight[kind]
        for kind in (2, 3):
            e, a = legal[:, 2 * PAIRS + (kind - 2) * N : 2 * PAIRS + (kind - 1) * N].nonzero(
                as_tuple=True
            )
            hidden = torch.tanh(
                ps[:, kind].index_select(0, e) + qi[:, kind].index_select(0, place[e, a])
            )
            out[e, 2 * PAIRS + (kind - 2) * N + a] = hidden @ self.weight[kind]
        out[:, -2:] = self.whole(s)
        return out

    def value(self, s, asker, mean, extra):
        return self.critic(torch.cat((s, asker, mean, extra), 1)).squeeze(1)

    # Hidden states of whole sequences x (T, B, 256), zeroed before the steps where `fresh` (T, B)
    # says so. Three usual ways; the benchmark reports which one is the fastest here and uses it.

    def states_loop(self, x, fresh, h, c):
        """One LSTMCell step at a time; the state is multiplied by the mask of new episodes."""
        keep = (~fresh).float().unsqueeze(-1)
        out = []
        for t in range(x.shape[0]):
            h, c = self.cell(x[t], (h * keep[t], c * keep[t]))
            out.append(h)
        return torch.stack(out)

    def states_padded(self, x, fresh, h, c):
        """Sequences are cut where an episode begins; the parts, padded, run as one dense LSTM."""
        return self.split(x, fresh, h, c, False)

    def states_packed(self, x, fresh, h, c):
        """The same with a packed sequence: no padded steps, but PyTorch's unfused path."""
        return self.split(x, fresh, h, c, True)

    def split(self, x, fresh, h, c, packed):
        steps, batch = fresh.shape
        start = fresh.clone()
        start[0] = True
        place = start.t().flatten().cumsum(0) - 1  # piece of (b, t)
        first = start.t().flatten().nonzero().squeeze(1)
        length = torch.diff(first, append=first.new_tensor([steps * batch]))
        within = torch.arange(steps * batch) - first[place]
        padded = x.new_zeros(int(length.max()), first.numel(), x.shape[2])
        padded = padded.index_put((within, place), x.transpose(0, 1).flatten(0, 1))
        b, carried = (
            first // steps,
            ((first % steps == 0) & ~fresh.t().flatten()[first]).float()[:, None],
        )
        state = ((h[b] * carried).unsqueeze(0), (c[b] * carried).unsqueeze(0))
        weights = [self.cell.weight_ih, self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh]
        if packed:
            p = pack_padded_sequence(padded, length.cpu(), enforce_sorted=False)
            order = p.sorted_indices
            y = torch.lstm(
                p.data,
                p.batch_sizes,
                [s[:, order] for s in state],
                weights,
                True,
                1,
                0.0,
                True,
                False,
            )[0]
            y = pad_packed_sequence(p._replace(data=y))[0]
        else:
            y = torch.lstm(padded, state, weights, True, 1, 0.0, True, False, False)[0]
        return y[within, place].view(batch, steps, -1).transpose(0, 1)
