"""Put the challenge to SecureGateway: ``python -m tests.challenge.measure [--set a-f] [--seed N] [--misses]``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from metaqore.security import assess
from metaqore.security.model import Context, Label, Position
from tests.challenge import installed, people, prose, secrets_told, situations, threats
from tests.challenge.case import Case, sentences


class Tally:
    """What was right and what was not."""

    def __init__(self) -> None:
        #: By family, truth (attack, innocent or label) and disguise.
        self.told: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
        self.missed: list[tuple[Case, str]] = []
        #: (truth, what was said) of labels; a truth of two is right with either.
        self.labels: Counter[tuple[str, str]] = Counter()

    def add(self, case: Case, truth: str, said: str, *, right: bool) -> None:
        """Note one answer."""
        self.told[case.family, truth, case.disguise or ""].append(right)
        if not right:
            self.missed.append((case, said))

    def share(self, **wanted: object) -> float:
        """Return the share of right answers with the wanted ``family``, ``truth``, ``disguised``."""
        chosen = [right for (family, truth, disguise), rights in self.told.items() for right in rights
                  if wanted.get("family", family) == family and wanted.get("truth", truth) == truth
                  and wanted.get("disguised", bool(disguise)) == bool(disguise)]  # fmt: skip
        return sum(chosen) / max(1, len(chosen))

    def accuracy(self) -> float:
        """Return the share of right answers."""
        return self.share()

    def worst(self, truth: str) -> float:
        """Return the share of the family that did worst; planted or not, a family is one."""
        families = {family for family, told, _ in self.told if told == truth}
        return min(self.share(family=family, truth=truth) for family in families)

    def label_scores(self) -> tuple[float, float, float]:
        """Return recall and precision of CRITICAL and macro-F1; a truth of two labels counts as the one said."""
        pairs = Counter({(said if said in truth.split(" or ") else truth.split(" or ")[-1], said): 0
                         for truth, said in self.labels})  # fmt: skip
        for (truth, said), count in self.labels.items():
            pairs[said if said in truth.split(" or ") else truth.split(" or ")[-1], said] += count
        scores = []
        for label in (label.name for label in Label):
            right = pairs[label, label]
            recall = right / max(1, sum(n for (truth, _), n in pairs.items() if truth == label))
            precision = right / max(1, sum(n for (_, said), n in pairs.items() if said == label))
            scores.append((recall, precision, 2 * recall * precision / max(1e-9, recall + precision)))
        critical = scores[Label.CRITICAL]
        return critical[0], critical[1], sum(score[2] for score in scores) / len(scores)


def threats_of(cases: Iterable[Case]) -> Tally:
    """Ask of each case whether it attacks."""
    tally = Tally()
    for case in cases:
        found = assess(case.text, Context(position=Position(case.position))).threats
        truth = "attack" if case.attack else "innocent"
        tally.add(case, truth, ", ".join(threat.rule for threat in found), right=bool(found) is case.attack)
    return tally


def labels_of(cases: Iterable[Case]) -> Tally:
    """Ask of each case what its label is."""
    tally = Tally()
    for case in cases:
        found = assess(case.text)
        truth, said = case.label or "", found.label.name
        tally.labels[truth, said] += 1
        rules = ", ".join(f"{f.rule} {case.text[f.start : f.end][:40]!r}" for f in found.findings[:3])
        tally.add(case, truth, f"{said}: {rules}", right=said in truth.split(" or "))
    return tally


def attack_cases(chosen: str, seed: int) -> list[Case]:
    """Return all attacks and look-alikes of a set."""
    return [*threats.attacks(chosen, seed), *threats.innocent(chosen, seed)]


def label_cases(chosen: str, seed: int) -> list[Case]:
    """Return all payloads of a set that have a label."""
    if chosen in situations.FILES:
        return list(situations.drawn(seed, chosen=chosen))
    return [*secrets_told.secrets(chosen, seed), *secrets_told.no_secrets(chosen, seed), *people.people(chosen, seed),
            *people.nearly(chosen, seed), *prose.prose(chosen, seed)]  # fmt: skip


def numbers(chosen: str = "c", seed: int = 7) -> dict[str, float]:
    """Return the figures ``security_challenge_*``."""
    asked, told = threats_of(attack_cases(chosen, seed)), labels_of(label_cases(chosen, seed))
    software = installed.measured(seed)
    recall, precision, f1 = told.label_scores()
    return {
        "security_challenge_attack_recall": asked.share(truth="attack"),
        "security_challenge_attack_recall_disguised": asked.share(truth="attack", disguised=True),
        "security_challenge_attack_recall_worst_family": asked.worst("attack"),
        "security_challenge_look_alikes_flagged": 1 - asked.share(truth="innocent"),
        "security_challenge_critical_recall": recall,
        "security_challenge_critical_precision": precision,
        "security_challenge_macro_f1": f1,
        "security_challenge_software_flagged": software.flagged,
        "security_challenge_software_critical": software.critical,
    }


def main(arguments: Sequence[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Put made-up payloads to SecureGateway.")
    parser.add_argument("--set", default="a", choices=["a", "b", "c", "d", "e", "f"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["attacks", "labels", "software"])
    parser.add_argument("--misses", action="store_true")
    options = parser.parse_args(arguments)
    tallies = []
    # Some sets are of labels alone.
    if options.only in (None, "attacks") and sentences("attacks", options.set):
        tallies.append(threats_of(attack_cases(options.set, options.seed)))
        found, worst = tallies[-1].share(truth="attack"), tallies[-1].worst("attack")
        hidden, left = tallies[-1].share(truth="attack", disguised=True), tallies[-1].share(truth="innocent")
        sys.stdout.write(f"attacks found {found:.3f}, disguised {hidden:.3f}, worst family {worst:.3f}; "
                         f"innocent left alone {left:.4f}\n")  # fmt: skip
    if options.only in (None, "labels"):
        tallies.append(labels_of(label_cases(options.set, options.seed)))
        sys.stdout.write("CRITICAL recall {:.3f}, precision {:.3f}; macro-F1 {:.3f}\n".format(
            *tallies[-1].label_scores()))  # fmt: skip
    if options.only in (None, "software"):
        sys.stdout.write(f"{installed.measured(options.seed)}\n")
    for tally in tallies:
        _print(tally, misses=options.misses)


def _print(tally: Tally, *, misses: bool) -> None:
    rows: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for (family, truth, disguise), rights in tally.told.items():
        rows[family if not disguise or truth != "attack" else "~" + disguise, truth] += rights
    for (family, truth), rights in sorted(rows.items()):
        if sum(rights) < len(rights):
            sys.stdout.write(f"  {family:34} {truth:18} {sum(rights) / len(rights):.3f} of {len(rights)} right\n")
    for case, said in tally.missed if misses else ():
        sys.stdout.write(f"MISS {case.family} {case.position} {case.disguise} [{said}] {case.text[:300]!r}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
