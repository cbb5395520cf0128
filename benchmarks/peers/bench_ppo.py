"""PyTorch beside our PPO trainer, fp32: the same environment, networks and shapes. On the CPU;
ppo_gpu.py runs it on a CUDA device.

Rows (JSON lines: name, p50_us, p99_us, runs, and steps_per_s where steps are made):
  env           environment steps a second with random legal actions, legal masks included, no
                observation; the best of several numbers of episodes side by side (env_<E>)
  update        one PPO update: E episodes x T steps, 4 epochs x 4 minibatches of whole sequences
                (E/4 each), from data of a real roll-out; AdamW, gradient norm clipped
  rollout       E x T steps with observation, collaborator models of the agents whose memory
                changed, gap detector, policy, sampling
  end_to_end    roll-out, advantages and update; steps_per_s counts environment steps
  lstm_<way>    forward and backward of the state LSTM over one minibatch, for the three usual ways
                to respect ends of episodes inside a sequence (loop: masked LSTMCell steps; padded,
                packed: sequences cut at the ends). The fastest is used above and named there.

Everything is batched over episodes; no autograd in the roll-out; observations of a roll-out are
kept as indices of task rows and gathered per minibatch; only living agents and legal pairs are
scored. --compile also tries torch.compile on the environment step (env_<E>_compile) and on the
LSTM (lstm_loop_compile); compiling the whole loss gains no more.
Usage: bench_ppo.py [--threads 2] [--seconds 10] [--envs 128] [--steps 32] [--compile]
                    [--env-counts 128 1024 4096 8192]
"""

import argparse
import sys

import torch
from torch.nn import functional as F

from ppo_env import N, PAIRS, TURNS, Env, Tasks, random_action
from ppo_nets import CKM, STATE, Collaborator, Gap, Policy
from timing import emit, measure, setup

GAMMA, LAMBDA, CLIP, ENTROPY, VALUE, NORM_MAX, EPOCHS, MINIBATCHES = (
    0.99,
    0.95,
    0.2,
    0.01,
    0.5,
    0.5,
    4,
    4,
)

AGREE = 1e-4  # how far the ways to compute the LSTM may differ


class Trainer:
    def __init__(self, episodes, steps):
        self.E, self.T = episodes, steps
        self.tasks = Tasks()
        self.env = Env(self.tasks, episodes)
        self.ckm_net, self.gap_net, self.policy = Collaborator(), Gap(episodes), Policy()
        self.states = self.policy.states_padded
        self.adam = torch.optim.AdamW(self.policy.parameters(), lr=3e-4, fused=True)
        self.h, self.c = torch.zeros(episodes, STATE), torch.zeros(episodes, STATE)
        self.ckm = torch.zeros(episodes, N, CKM)
        self.data = None

    def observe(self):
        """Brings ckm, link and gap up to date and returns what this turn adds to the roll-out."""
        env = self.env
        e, i = env.changed.nonzero(as_tuple=True)
        if e.numel():
            items, count, logit = env.items(e, i)
            self.ckm[e, i] = new = self.ckm_net(items, count, logit)
            self.gap_net(e, i, new, env.n)
        row, number = env.pair_index()
        alive = env.agent < env.n[:, None]
        mean = (self.ckm * alive[..., None]).sum(1) / env.n[:, None]
        extra = torch.stack((self.gap_net.gap[:, 0], env.budget / TURNS), 1)
        pair_gap = self.gap_net.gap.index_select(1, env.first_of[:PAIRS])
        return {
            "message": env.message(),
            "fresh": env.fresh,
            "legal": env.legal(),
            "alive": alive,
            "ckm": self.ckm,
            "row": row,
            "number": number,
            "link": torch.stack((self.gap_net.link, pair_gap), 1),
            "mean": mean,
            "extra": extra,
        }

    def heads(self, s, o):
        """Logits (m, A) and values (m) of m flat observations."""

        def pair_features(kind, e, p):
            body = self.tasks.pair[o["row"][e, kind, p]]
            return torch.cat((o["link"][e, :, p], o["number"][e, kind, :, p], body), 1)

        return (
            self.policy.logits(s, o["ckm"], o["alive"], o["legal"], pair_features),
            self.policy.value(s, o["ckm"][:, 0], o["mean"], o["extra"]),
        )

    @torch.no_grad()
    def rollout(self):
        """E x T steps; returns the data of the update, every tensor (T, E, ..)."""
        start = {"h": self.h[None], "c": self.c[None]}
        for t in range(self.T):
            o = self.observe()
            keep = (~o["fresh"]).float().unsqueeze(1)
            x = self.policy.inlet(o["message"])
            self.h, self.c = self.policy.cell(x, (self.h * keep, self.c * keep))
            logit, o["value"] = self.heads(self.h, o)
            logp = torch.log_softmax(logit, 1)
            o["action"] = torch.multinomial(logp.exp(), 1).squeeze(1)
            o["logp"] = logp.gather(1, o["action"][:, None]).squeeze(1)
            o["reward"], o["done"] = self.env.step(o["action"], GAMMA)
            if self.data is None:  # allocated once, at the first step
                self.data = {
                    name: torch.empty(self.T, *value.shape, dtype=value.dtype)
                    for name, value in o.items()
                }
            for name, value in o.items():
                self.data[name][t] = value
        last = self.observe()
        keep = (~last["fresh"]).float().unsqueeze(1)
        s = self.policy.cell(self.policy.inlet(last["message"]), (self.h * keep, self.c * keep))[0]
        bootstrap = self.policy.value(s, last["ckm"][:, 0], last["mean"], last["extra"])
        self.env.changed.zero_()  # what changed has been recomputed for this observation
        return self.advantages({**self.data, **start}, bootstrap)

    def advantages(self, data, value_next):
        running = torch.zeros(self.E)
        advantage = torch.empty(self.T, self.E)
        for t in reversed(range(self.T)):
            going = (~data["done"][t]).float()
            delta = data["reward"][t] + GAMMA * value_next * going - data["value"][t]
            running = delta + GAMMA * LAMBDA * going * running
            advantage[t], value_next = running, data["value"][t]
        data["target"] = advantage + data["value"]
        data["advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        return data

    def loss(self, part):
        x = self.policy.inlet(part["message"])
        s = self.states(x, part["fresh"], part["h"][0], part["c"][0]).flatten(0, 1)
        o = {
            name: value.flatten(0, 1)
            for name, value in part.items()
            if name not in ("h", "c", "message")
        }
        logit, value = self.heads(s, o)
        logp = torch.log_softmax(logit, 1)
        taken = logp.gather(1, o["action"][:, None]).squeeze(1)
        entropy = -(logp.exp() * logp.masked_fill(~o["legal"], 0)).sum(1).mean()
        ratio = (taken - o["logp"]).exp()
        gain = torch.min(
            ratio * o["advantage"], ratio.clamp(1 - CLIP, 1 + CLIP) * o["advantage"]
        ).mean()
        return VALUE * F.mse_loss(value, o["target"]) - gain - ENTROPY * entropy

    def update(self, data):
        for _ in range(EPOCHS):
            for which in torch.randperm(self.E).chunk(MINIBATCHES):
                part = {name: value[:, which] for name, value in data.items()}
                loss = self.loss(part)
                self.adam.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), NORM_MAX, foreach=True)
                self.adam.step()


def bench_env(args, tasks):
    rows = []
    for episodes in args.env_counts:
        for compiled in (False, True)[: 1 + args.compile]:
            env = Env(tasks, episodes)

            def pick():
                return random_action(env.legal())

            if compiled:
                torch._dynamo.reset()
                env.advance = torch.compile(env.advance, dynamic=False)
                pick = torch.compile(pick, dynamic=False)

            def steps():
                for _ in range(10):
                    env.step(pick())

            name = f"env_{episodes}_compile" if compiled else f"env_{episodes}"
            rows.append(measure(name, steps, args.seconds / 4, steps=10 * episodes))
    best = max(rows, key=lambda row: row["steps_per_s"])
    emit({**best, "name": "env", "form": best["name"]})


def choose_lstm(args, trainer, data):
    """Times the usual ways on one minibatch, checks that they agree, and uses the fastest."""
    which = torch.arange(trainer.E // MINIBATCHES)
    part = {name: data[name][:, which] for name in ("message", "fresh", "h", "c")}
    x = trainer.policy.inlet(part["message"]).detach().requires_grad_()
    policy = trainer.policy
    ways = {
        "loop": policy.states_loop,
        "padded": policy.states_padded,
        "packed": policy.states_packed,
    }
    if args.compile:
        ways["loop_compile"] = torch.compile(policy.states_loop)
    expected, took = None, {}
    for way, run in ways.items():

        def both():
            policy.zero_grad(set_to_none=True)
            y = run(x, part["fresh"], part["h"][0], part["c"][0])
            y.backward(torch.ones_like(y))
            return y.detach()

        y = both()
        expected = y if expected is None else expected
        assert torch.allclose(y, expected, atol=AGREE), f"the way '{way}' computes something else"
        took[way] = measure(f"lstm_{way}", both, min(args.seconds, 3))["p50_us"]
    way = min(took, key=took.get)
    trainer.states = ways[way]
    return way


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time per row")
    parser.add_argument("--envs", type=int, default=128)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument(
        "--env-counts",
        type=int,
        nargs="+",
        default=[128, 1024, 4096, 8192],
        help="episodes side by side in the rows env_<E>",
    )
    parser.add_argument(
        "--compile", action="store_true", help="try torch.compile too (needs a C++ compiler)"
    )
    args = parser.parse_args(argv)
    setup(args.threads)
    trainer = Trainer(args.envs, args.steps)
    bench_env(args, trainer.tasks)
    trainer.rollout()
    data = trainer.rollout()
    shape = {"envs": args.envs, "horizon": args.steps, "lstm": choose_lstm(args, trainer, data)}
    count = args.envs * args.steps
    measure("update", lambda: trainer.update(data), args.seconds, **shape)
    measure("rollout", trainer.rollout, args.seconds, steps=count, **shape)
    measure(
        "end_to_end", lambda: trainer.update(trainer.rollout()), args.seconds, steps=count, **shape
    )


if __name__ == "__main__":
    sys.exit(main())
