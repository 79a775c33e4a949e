"""The commands, on real rows."""

import csv
import html
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app.cli.commands.cycle import Watched, _say_begun
from app.cli.remote import client_of
from domain.decisions.starting import AS_OF_LEFT_OUT
from domain.events.cycle_events import CycleStarted
from tests.app.car_ledger import year_end
from tests.app.cli.command_line import environment, whyledger
from tests.app.cycle.forked_worker import start_forked_worker
from tests.patience import HANGS_SECONDS, until
from tests.repository import REPOSITORY
from tests.told import copied

POLICY = REPOSITORY / "rules" / "policies" / "strict-and.yaml"
CONTRACT = REPOSITORY / "data" / "contracts" / "car-price.yaml"
CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "cars.csv"
    with CARS.open(newline="") as file, path.open("w", newline="") as out:
        reader = csv.reader(file)
        writer = csv.writer(out)
        writer.writerow(next(reader))
        writer.writerows(row for row in reader if int(row[0]) <= 1975)
    return path


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("github")
    return {
        "GITHUB_OUTPUT": str(directory / "output"),
        "GITHUB_STEP_SUMMARY": str(directory / "summary.md"),
    }


@pytest.fixture(scope="module")
def state(
    tmp_path_factory: pytest.TempPathFactory,
    registry_store: Path,
    rows: Path,
    github: dict[str, str],
) -> Path:
    """A model that was bootstrapped on five years of cars, through the commands alone."""
    directory = tmp_path_factory.mktemp("state")
    shutil.copy(registry_store, directory)
    for arguments in (("adopt", POLICY, CONTRACT), ("import", "car-price", rows)):
        assert whyledger(directory, *arguments).returncode == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.cycle.starting.start_worker", start_forked_worker)
        done = whyledger(
            directory, "cycle", "--model", "car-price", "--as-of", "1976-01-01",
            "--detailed-exitcode", "--json", **github,
        )  # fmt: skip
    assert done.returncode == 10, done.stderr
    assert json.loads(done.stdout)["outcome"] == "bootstrap"
    return directory


@pytest.fixture(scope="module")
def service(state: Path) -> Iterator[str]:
    """The real service on the same ledger."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "serve", "--port", str(port)],
        cwd=REPOSITORY,
        env=environment(state),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, "the service did not come up"
        with suppress(httpx.TransportError), client_of(address, HANGS_SECONDS) as client:
            return client.get("/readyz").status_code == 200
        return False

    try:
        until(ready, pause_seconds=0.1)
        yield address
    finally:
        process.terminate()
        process.wait(HANGS_SECONDS)


def bootstrap(state: Path) -> dict[str, str]:
    """The decision of the model's first cycle."""
    shown = json.loads(whyledger(state, "decisions", "--json").stdout)["decisions"]
    return next(decision for decision in shown if decision["outcome"] == "bootstrap")


def test_the_outputs_and_the_summary_hold_the_recorded_sentence(
    state: Path, github: dict[str, str]
) -> None:
    decided = bootstrap(state)
    outputs = Path(github["GITHUB_OUTPUT"]).read_text().splitlines()
    page = Path(github["GITHUB_STEP_SUMMARY"]).read_text()

    assert {decided["headline"], decided["sentence"]} <= set(outputs)
    assert {"bootstrap", "promoted", "car-price/1"} <= set(outputs)
    assert "| clause | verdict |" in page
    assert "| Deployment | ✓ passed |" in page
    assert "- car-price/1: no value, not measured yet\n" in page


def test_why_says_the_same_sentence_as_decisions(state: Path) -> None:
    decided = bootstrap(state)

    why = whyledger(state, "why", decided["id"])

    assert why.returncode == 0
    assert why.stdout.splitlines()[:2] == [decided["headline"], decided["sentence"]]


def test_why_says_what_came_of_the_decision(state: Path) -> None:
    decided = bootstrap(state)

    lines = whyledger(state, "why", decided["id"]).stdout.splitlines()

    for gate in ("Parity", "Evaluation", "Deployment", "Promotion"):
        row = next(line for line in lines if gate in line)
        assert "passed" in row
        assert ("candidate 0." in row) == (gate in {"Evaluation", "Deployment"})
    assert lines[-2] == "car-price-1: promoted. Candidate car-price/1."
    assert lines[-1].startswith("decided at position ")


def test_state_names_the_champion(state: Path) -> None:
    model = json.loads(whyledger(state, "state", "--json").stdout)["models"][0]

    assert model["champion"] == "car-price/1"


def test_replay_finds_equal_digests_and_the_alias_in_its_place(state: Path) -> None:
    replayed = whyledger(state, "replay", "--json")

    assert replayed.returncode == 0, replayed.stderr
    answer = json.loads(replayed.stdout)
    assert answer["equal"]
    assert len(answer["root"]) == 64


def test_importing_the_same_rows_again_records_nothing(state: Path, rows: Path) -> None:
    answer = json.loads(whyledger(state, "import", "car-price", rows, "--json").stdout)

    assert (answer["accepted"], answer["quarantined"]) == (0, 0)


@pytest.mark.parametrize("form", ["jsonl", "csv", "html"])
def test_an_export_holds_the_decision(state: Path, tmp_path: Path, form: str) -> None:
    written = tmp_path / f"decisions.{form}"

    done = whyledger(state, "export", "--format", form, "--output", written)

    assert done.returncode == 0, done.stderr
    assert "BOOTSTRAP: no champion yet" in written.read_text()
    assert "Policy strict-and version 1" in written.read_text()


def test_a_rollback_to_who_never_served_is_one_line_with_a_remedy(state: Path) -> None:
    done = whyledger(state, "rollback", "car-price", "--to", "car-price/9", "--reason", "a test")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "it never was champion. Earlier champions: none." in done.stderr


def test_a_cycle_over_http_exits_0_for_a_recorded_keep_and_its_summary_says_the_worth(
    state: Path, service: str, tmp_path: Path
) -> None:
    page = tmp_path / "summary.md"
    done = whyledger(
        *(state, "cycle", "--model", "car-price", "--as-of", "1977-01-01", "--url", service),
        "--json",
        GITHUB_STEP_SUMMARY=str(page),
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sentence"] == "KEEP: nothing to judge, the window is empty"
    worth = httpx.get(f"{service}/models/car-price/health").json()["value"]["sentences"]
    assert len(worth) == 2  # the one reign's, and the sum's
    said = html.unescape(re.sub(r"\\(.)", r"\1", page.read_text(encoding="utf-8")))
    assert "".join(f"- {sentence}\n" for sentence in worth) in said


def test_rows_go_in_over_http(state: Path, service: str, rows: Path) -> None:
    done = whyledger(state, "import", "car-price", rows, "--url", service, "--json")

    assert json.loads(done.stdout)["accepted"] == 0


def test_the_page_is_served_under_a_strict_policy(service: str) -> None:
    answer = httpx.get(f"{service}/")

    assert answer.status_code == 200
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "car-price/1" in answer.text
    assert httpx.get(f"{service}/static/whyledger.css").status_code == 200


def test_without_a_ledger_nothing_can_be_decided(tmp_path: Path) -> None:
    done = whyledger(tmp_path, "cycle", "--model", "car-price")

    assert done.returncode == 20
    assert "there is no ledger" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_import_of_which_nothing_is_kept_exits_20_and_says_what_a_cycle_would_do(
    bootstrapped_state: Path, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.csv"
    header = CARS.read_text().splitlines()[0]
    wrong = ",".join("x" for _ in header.split(","))
    file.write_text("\n".join([header, wrong, wrong]))

    done = whyledger(copied(bootstrapped_state, tmp_path / "state"), "import", "car-price", file)

    assert done.returncode == 20
    assert done.stdout == "0 rows accepted, 0 already known, 2 quarantined\n"
    assert "/line/2: " in done.stderr
    assert "the next cycle would judge car-price/1 by the rows since" in done.stderr


def test_an_unknown_model_decides_nothing(state: Path) -> None:
    assert whyledger(state, "cycle", "--model", "nowhere").returncode == 20


@pytest.mark.parametrize(
    ("reason", "aside", "said"),
    [
        ("the wrong day", ["m-1"], "m-2 set aside m-1: the wrong day."),
        ("the monthly run", [], "no cycle was set aside; the reason is recorded: the monthly run"),
        (f"{AS_OF_LEFT_OUT}, and why", [], f"{AS_OF_LEFT_OUT}, and why; --as-of chooses another"),
    ],
)
def test_a_reason_is_told_for_what_it_is(
    capsys: pytest.CaptureFixture[str], reason: str, aside: list[str], said: str
) -> None:
    """Given a reason somebody typed or the service chose, then only the latter names --as-of."""
    begun = {"as_of": year_end(1976), "reason": reason, "sets_aside": aside}
    _say_begun(Watched("m-2", "ended", {CycleStarted.type: begun}))
    told = " ".join(capsys.readouterr().err.split())
    assert said in told
    assert ("--as-of" in told) == reason.startswith(AS_OF_LEFT_OUT)


def test_a_force_without_a_reason_is_refused_and_never_taken_for_none(state: Path) -> None:
    done = whyledger(state, "cycle", "--model", "car-price", "--force", " ")
    assert done.returncode == 1
    assert "say why" in done.stderr


def test_an_invalid_contract_exits_4_with_every_fault(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("contract: whyledger.contract/1\nmodel: Wrong Name\n")

    done = whyledger(tmp_path / "state", "adopt", wrong)

    assert done.returncode == 4
    assert "/model" in done.stderr
    assert "/target" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_shipped_contract_and_policy_is_adopted_by_the_command(tmp_path: Path) -> None:
    """Given documents of every format, then each is told for what it is, and is in force."""
    contracts = sorted((REPOSITORY / "data" / "contracts").glob("*.yaml"))
    policies = sorted((REPOSITORY / "rules" / "policies").glob("*.yaml"))
    done = whyledger(tmp_path / "state", "adopt", *policies, *contracts, "--json")

    assert done.returncode == 0, done.stderr
    told = [(Path(each["file"]), each["kind"]) for each in json.loads(done.stdout)["adopted"]]
    assert told == [(file, "policy") for file in policies] + [(f, "contract") for f in contracts]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("policy: whyledger.policy/2\nid: x\nversion: 1\n", "/when"),
        ("id: x\nversion: 1\nwhen: {all: []}\n", "policy 'x' has"),
        ("policy: strict-and\nmodel: x\n", "is neither a contract (no key `contract`) nor"),
    ],
)
def test_a_document_that_lacks_something_is_told_as_what_it_begins_to_be(
    tmp_path: Path, written: str, said: str
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(written)

    done = whyledger(tmp_path / "state", "adopt", wrong)

    assert done.returncode == 4
    assert said in " ".join(done.stderr.split())


def test_a_service_out_of_reach_exits_20(tmp_path: Path) -> None:
    done = whyledger(tmp_path, "cycle", "--model", "car-price", "--url", "http://127.0.0.1:9/")

    assert done.returncode == 20
    assert "whyledger serve" in done.stderr


def test_a_setting_that_makes_no_sense_is_one_line(tmp_path: Path) -> None:
    done = whyledger(tmp_path, "state", WHYLEDGER_PORT="many")

    assert done.returncode == 1
    assert "WHYLEDGER_PORT" in done.stderr
    assert "Traceback" not in done.stderr
