"""The main job of a city in a minute: departments order, machines run, the month is closed, the halls' PUE is shown.

    make demo              runs it and cleans up; files stay under demo/out
    make demo KEEP=1       leaves the server running and says what to try next

Everybody works through the `govpool` command (demo/out/transcript.txt has every line).  The lab cloud and the meters are simulators, and say so.
"""

import argparse
import datetime
import functools
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Callable

import history
import stage
import summary

HERE = pathlib.Path(__file__).parent
SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
EXPECTED = {"ok": (0,), "wait": (9,), "quota": (6,), "money": (6,), "role": (5,), "name": (7,), "fails": (0, 1)}
SETTLE_S = 60


class Story:
    """One run: the acts in their order."""

    def __init__(self, on: stage.Stage, documents: pathlib.Path, left_out: str) -> None:
        self.on = on
        self.documents = documents
        self.left_out = left_out  # '@MONTH@' stands for the past month
        today = datetime.datetime.now(SHANGHAI).date()
        self.month = (today.replace(day=1) - datetime.timedelta(days=1)).strftime("%Y-%m")
        self.words = {
            "@MONTH_START@": f"{self.month}-01T00:00:00+08:00",
            "@YEAR@": str(today.year),
            "@NEXT_YEAR@": str(today.year + 1),
            "@IN_20_DAYS@": (today + datetime.timedelta(days=20)).isoformat(),
        }
        self.started = time.monotonic()

    def say(self, text: str) -> None:
        """A line for whoever watches."""
        sys.stdout.write(f"{time.monotonic() - self.started:5.1f} s  {text}\n")
        sys.stdout.flush()

    def document(self, name: str) -> str:
        """A document of the demo with this run's days and ports put in."""
        target = self.on.out / "documents" / name
        target.write_text(self._filled((self.documents / name).read_text(encoding="utf-8")), encoding="utf-8")
        return str(target)

    def _filled(self, text: str) -> str:
        for word, meaning in self.words.items():
            text = text.replace(word, meaning)
        return text

    # -- act 1: the house ------------------------------------------------------------------------------------------------------------

    def open_house(self) -> None:
        """Processes start, the three administrators sign in."""
        on = self.on
        lab = on.start("lab", "lab", "--file", str(on.out / "lab.db"), "--port", "0", "--script", str(self.documents / "lab.json"))
        (on.out / "documents").mkdir()
        self.meters = on.out / "documents" / "40-meters.yaml"
        on.start("meters", "facility", "simulate", "--port", "0", "--documents", str(self.meters), "--poll-s", "2")
        made = on.type(
            "", f"init --data {on.out / 'data'} --code qinghe --name 清河市 --valid-from {self.month}-01T00:00:00+08:00 -o json"
        )
        on.serve(on.out / "data", "--set", "sweep_s=5", "--set", "expense_s=5")
        self.words["@LAB@"] = on.first_line("lab", lab)["url"]
        for code in made.json():
            on.login(code["role"], code["code"])
        self.say("the server, a lab cloud (no guest runs in it) and simulated meters run; the three administrators are in")

    # -- act 2: the people -----------------------------------------------------------------------------------------------------------

    def admit_people(self) -> None:
        """Tenants and projects by document; people by the system administrator, their power by the security administrator."""
        on = self.on
        on.type("system_admin", f"apply -f {self.document('10-tenants.yaml')}")
        people = [line.split() for line in self._lines(HERE / "people.txt")]
        on.at_once([functools.partial(self._admit, *person) for person in people])
        self.say(f"{len(people)} people of {len({person[1] for person in people}) - 1} departments and the pool have signed in")

    def _admit(self, account: str, tenant: str, name: str, role: str) -> None:
        plain = role in ("requester", "viewer")
        words = f"tenant member add {tenant} {account} --name {name}" + (f" --role {role}" if plain else "")
        code = self.on.type("system_admin", f"{words} -o json").json()["code"]
        if not plain:
            self.on.type("security_admin", f"role grant {account} {role} --tenant {tenant}")
        self.on.login(account, code)

    # -- act 3: the pool -------------------------------------------------------------------------------------------------------------

    def found_pool(self) -> None:
        """Pool, grants, halls and meters by operations; prices and money by finance; approval rules by the security administrator."""
        on = self.on
        on.type("operator", f"apply -f {self.document('20-pool.yaml')}")  # its hosts are known after the first sweep, seconds later
        on.at_once(
            [
                lambda: on.type("operator", f"apply -f {self.document('30-grants.yaml')}"),
                lambda: on.type("operator", f"apply -f {self.meters}"),
                lambda: on.type("finance", f"apply -f {self.document('50-prices.yaml')}"),
                lambda: on.type("finance", f"apply -f {self.document('55-budgets.yaml')}"),
                lambda: on.type("security_admin", f"apply -f {self.document('60-approvals.yaml')}"),
            ]
        )
        self._until(lambda: bool(on.type("operator", "host list -o json").json()), "the hosts of the pool are unknown")
        self.say(
            "the pool, the grants, two halls with their meters, prices, the money of the year and the approval rule are in force"
        )

    # -- act 4: the past month -------------------------------------------------------------------------------------------------------

    def bring_past_month(self) -> None:
        """Usage events and 15-minute readings of the past month come in by import."""
        on = self.on
        usage, readings = on.out / "usage.jsonl", on.out / "readings.csv"
        usage.write_text(history.text(self.month, (HERE / "fleet.txt").read_text(encoding="utf-8")), encoding="utf-8")
        on.type("operator", f"facility history --month {self.month} --out {readings}")
        if self.left_out:
            gone = self.left_out.replace("@MONTH@", self.month)
            kept = [line for line in readings.read_text().splitlines(True) if not line.startswith(gone)]
            readings.write_text("".join(kept), encoding="utf-8")
        on.type("operator", f"usage import {usage}")
        on.type("operator", f"reading import {readings}")
        self.say(f"usage and readings of {self.month} are imported")

    # -- act 5: the orders -----------------------------------------------------------------------------------------------------------

    def order(self) -> None:
        """All departments order at once; approvers decide; everything settles."""
        by_person: dict[str, list[tuple[str, str]]] = {}
        for line in self._lines(HERE / "orders.txt"):
            who, how, words = self._filled(line).split(None, 2)
            by_person.setdefault(who, []).append((how, words))
        self.on.at_once([functools.partial(self._order, who, wishes) for who, wishes in by_person.items()])
        counts = {how: sum(h == how for wishes in by_person.values() for h, _ in wishes) for how in EXPECTED}
        self.say(
            f"{sum(counts.values())} orders were typed: {counts['quota']} over quota, {counts['money']} over its money,"
            f" {counts['role']} by a role that may not, {counts['name']} with a taken name were refused; {counts['wait']} wait for approval"
        )
        self._decide()
        self._settle()

    def _order(self, who: str, wishes: list[tuple[str, str]]) -> None:
        for how, words in wishes:
            self.on.type(who, words, expect=EXPECTED[how])

    def _decide(self) -> None:
        """One waiting order is approved, the other stays for the reader."""
        waiting = self.on.type("governance.app", "order list --state waiting_for_approval -o json").json()
        number = waiting[0]["metadata"]["name"]
        self.on.type("governance.app", f"order approve {number} --reason 同意 --document-no 清政办〔2026〕7号")
        self.say(f"order {number} was approved by a second person; the one of the tax bureau still waits")

    def _settle(self) -> None:
        self._until(
            lambda: not self.on.type("operator", "order list --state delivering -o json").json(), "orders are still delivering"
        )
        failed = self.on.type("operator", "order list --state failed -o json").json()
        self.say(f"all orders are settled; {len(failed)} failed in the cloud and gave its quota back")

    # -- act 6: the month is closed --------------------------------------------------------------------------------------------------

    def close_month(self) -> None:
        """Finance closes and issues the past month; the audit administrator verifies the trail."""
        on = self.on
        on.type("finance", f"statement close --month {self.month}")
        on.type("finance", f"statement issue --month {self.month} --yes")
        on.type("audit_admin", "audit verify")
        self._until(self._is_expense, "the use of the past month is no expense")
        self.say(f"{self.month} is closed, its statements are issued and are expense of the budgets")

    def _is_expense(self) -> bool:
        """Whether the budget of the county has spent something in the year of the past month."""
        return bool(float(self.on.type("finance", f"budget show yunxi --year {self.month[:4]} -o json").json()["status"]["spent"]))

    def _until(self, holds: Callable[[], bool], else_said: str) -> None:
        """Wait until something holds; a minute is far more than it takes."""
        deadline = time.monotonic() + SETTLE_S
        while not holds():
            if time.monotonic() > deadline:
                raise stage.StoryError(f"{else_said} after {SETTLE_S} s")
            time.sleep(0.3)

    def _lines(self, path: pathlib.Path) -> list[str]:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]


def main() -> int:
    """Run the story; 0 when every line of it came true."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "out")
    parser.add_argument("--documents", type=pathlib.Path, default=HERE / "documents")
    parser.add_argument(
        "--without-reading", default="", help="leave out the imported readings that begin so: 'meter,register,read_at'"
    )
    options = parser.parse_args()
    on = stage.Stage(options.out.absolute())
    story = Story(on, options.documents, options.without_reading)
    keep = os.environ.get("KEEP") == "1"
    try:
        story.open_house()
        story.admit_people()
        story.found_pool()
        on.at_once([story.bring_past_month, story.order])
        story.close_month()
        summary.show(on, story.month)
    except stage.StoryError as error:
        sys.stderr.write(f"\nthe story broke off: {error}\n")
        return 1
    finally:
        if not keep:
            on.stop()
    if keep:
        sys.stdout.write(summary.next_steps(on))
    shutil.rmtree(on.out / "documents", ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
