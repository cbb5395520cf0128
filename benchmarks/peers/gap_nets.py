"""Gap detectors in PyTorch on the pieces of a team: a set transformer, and a BiLSTM like ours."""
import numpy as np
import torch
from torch import nn


class SetTransformer(nn.Module):
    """Self-attention over all pieces of the team, each marked as the asker's or another's; the mean of the pieces and
    of the asker's decide."""

    def __init__(self, inputs, width=64, heads=4, layers=2, dropout=0.2):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout))
        self.owner = nn.Embedding(2, width)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.query = nn.Parameter(torch.zeros(1, 1, width))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
                                  nn.Linear(width, 1))

    def forward(self, x, mask, owner):
        h = self.embed(x) + self.owner(owner.long())
        h = torch.cat([self.query.expand(len(x), -1, -1), h], 1)
        mask = torch.cat([mask.new_ones(len(x), 1), mask], 1)
        return self.head(self.encoder(h, src_key_padding_mask=~mask)[:, 0])[:, 0]


class Pooled(nn.Module):
    """No look from piece to piece: two layers per piece, max and mean over the asker's and over the others'."""

    def __init__(self, inputs, width=64, dropout=0.2):
        super().__init__()
        self.piece = nn.Sequential(nn.Linear(inputs + 1, width), nn.ReLU(), nn.Dropout(dropout),
                                   nn.Linear(width, width), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * width, width), nn.ReLU(), nn.Dropout(dropout),
                                  nn.Linear(width, 1))

    def forward(self, x, mask, owner):
        h = self.piece(torch.cat([x, owner[:, :, None].float()], 2))
        parts = []
        for group in (mask & owner, mask & ~owner):
            g = group[:, :, None].float()
            parts += [(h * g).amax(1), (h * g).sum(1) / g.sum(1).clamp(min=1)]
        return self.head(torch.cat(parts, 1))[:, 0]


class Aggregates(nn.Module):
    """Pooled beside the largest, the two largest's mean and the mean of each column as they are."""

    def __init__(self, inputs, width=64, dropout=0.2):
        super().__init__()
        self.piece = nn.Sequential(nn.Linear(inputs + 1, width), nn.ReLU(), nn.Dropout(dropout),
                                   nn.Linear(width, width), nn.ReLU())
        pooled = 6 * inputs + 2 + 4 * width
        self.head = nn.Sequential(nn.BatchNorm1d(pooled, affine=False), nn.Dropout(dropout), nn.Linear(pooled, width),
                                  nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))

    def forward(self, x, mask, owner):
        h = self.piece(torch.cat([x, owner[:, :, None].float()], 2))
        parts = []
        for group in (mask & owner, mask & ~owner):
            g = group[:, :, None]
            n = g.sum(1).float()
            top = torch.where(g, x, x.new_tensor(-1e9)).topk(2, 1)[0]
            top = torch.where(top < -1e8, x.new_zeros(1), top)
            parts += [top[:, 0], top.mean(1), (x * g).sum(1) / n.clamp(min=1), n / 10, (h * g).amax(1),
                      (h * g).sum(1) / n.clamp(min=1)]
        return self.head(torch.cat(parts, 1))[:, 0]


class BiLstm(nn.Module):
    """One vector for the asker and one for all others, by BiLSTM and attention pooling. Ours has a vector for each of
    the others, and the relevance as a bias of the attention."""

    def __init__(self, inputs, width=128, hidden=64, dropout=0.2):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout))
        self.lstm = nn.LSTM(width, hidden, bidirectional=True, batch_first=True)
        self.key, self.score = nn.Linear(2 * hidden, hidden), nn.Linear(hidden, 1, bias=False)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * hidden, 128), nn.ReLU(), nn.Dropout(dropout),
                                  nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))

    def memory(self, x, group):
        order = torch.argsort((~group).int(), dim=1, stable=True)
        x, group = torch.gather(x, 1, order[:, :, None].expand_as(x)), torch.gather(group, 1, order)
        length = group.sum(1).clamp(min=1)
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(x), length, batch_first=True, enforce_sorted=False)
        h, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        weight = self.score(torch.tanh(self.key(h)))[:, :, 0]
        weight = weight.masked_fill(~group, -1e9).softmax(1)
        return (weight[:, :, None] * h).sum(1) * group.any(1, keepdim=True)

    def forward(self, x, mask, owner):
        return self.head(torch.cat([self.memory(x, mask & owner), self.memory(x, mask & ~owner)], 1))[:, 0]


def tensors(states):
    return [torch.from_numpy(a) for a in (states.x, states.mask, states.owner)]


@torch.no_grad()
def predict(net, states, batch=1000):
    net.eval()
    x, mask, owner = tensors(states)
    return torch.cat([net(x[k:k + batch], mask[k:k + batch], owner[k:k + batch])
                      for k in range(0, len(x), batch)]).numpy().astype(np.float64)


def fit(net, train, validation, epochs=5, batch=64, lr=1e-3, decay=0.02, seed=1):
    """AdamW with a cosine schedule; the weights of the least validation loss, looked at twice an epoch."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, mask, owner = tensors(train)
    y = torch.from_numpy(train.label).float()
    checked = torch.from_numpy(validation.label).float()
    optimiser = torch.optim.AdamW(net.parameters(), lr, weight_decay=decay)
    steps = epochs * (len(y) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps + 1, pct_start=0.1)
    best, kept, step = np.inf, None, 0
    for _ in range(epochs):
        order = rng.permutation(len(y))
        for k in range(0, len(y) - batch + 1, batch):
            net.train()
            pick = torch.from_numpy(order[k:k + batch])
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[pick], mask[pick], owner[pick]), y[pick])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            if step % (len(y) // batch // 2):
                continue
            logit = torch.from_numpy(predict(net, validation))
            value = nn.functional.binary_cross_entropy_with_logits(logit, checked.double()).item()
            if value < best:
                best, kept = value, {n: t.detach().clone() for n, t in net.state_dict().items()}
    net.load_state_dict(kept)
    return net
