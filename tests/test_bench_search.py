"""The search against its peers: who wins is counted by hand here, cells are kept, every peer gives valid parameters."""

import json
import math

import numpy as np
import pytest
from test_cli import optlab

from optlab.bench import search, search_cells, search_cost, search_peers, search_ranks, search_resume
from optlab.bench.problems import Problem, branin, real
from optlab.bench.search_ranks import medians, pairs, ranks
from optlab.errors import ConfigError
from optlab.search import Choice, Float, Int, Random, Space

BOWL = real("bowl", lambda x: float(x @ x), -1, 2, 2, 0.0)
MIXED = Space(
    kind=Choice(["a", "b"]), rate=Float(1e-4, 1, log=True), depth=Int(1, 5), width=Int(4, 64, log=True),
    bend=Float(0, 2, when={"kind": "b"}),
)  # fmt: skip


def cell(problem, seed, sampler, final, mean=0.0):
    seconds = {"gp": 0.001, "a": 0.004, "b": 0.01}[sampler]
    kept = {"final": final, "mean": mean, "within 1e-2": final <= -2, "seconds": seconds}
    return {"problem": problem, "seed": seed, "sampler": sampler, **kept}


CELLS = [
    *(cell("p", 0, name, final, mean) for name, final, mean in (("gp", -4, -2), ("a", -3, -3), ("b", -1, -1))),
    *(cell("p", 1, name, final) for name, final in (("gp", -2.5), ("a", -2.5), ("b", -0.5))),
    *(cell("q", 0, name, final) for name, final in (("gp", -1.0), ("a", -3.0))),  # not on b's list
]


def test_ranks_by_hand():
    """Two cells are shared: (1, 2, 3) and (1.5, 1.5, 3) by the final regret; (2, 1, 3) and (2, 2, 2) by the mean."""
    rows = {row["sampler"]: row for row in ranks(CELLS)}
    assert [rows[n]["rank final"] for n in ("gp", "a", "b")] == [1.25, 1.75, 3.0]
    assert [rows[n]["rank mean"] for n in ("gp", "a", "b")] == [2.0, 1.5, 2.5]
    assert [rows[n]["log10 final"] for n in ("gp", "a", "b")] == [-3.25, -2.75, -0.75]
    assert [rows[n]["within 1e-2"] for n in ("gp", "a", "b")] == [1.0, 1.0, 0.0]
    assert {row["cells"] for row in rows.values()} == {2}
    assert rows["a"]["ms/suggestion"] == pytest.approx(4.0)
    assert ranks([]) == ranks([cell("p", 0, "gp", 0), cell("q", 0, "a", 0)]) == []


def test_differences_are_over_all_cells_that_a_peer_has():
    """a: +1, 0, -2 decades behind: mean -1/3, s = 1.5275, standard error .8819; ahead once, once alike."""
    a, b = pairs(CELLS)
    assert (a["cells"], a["seeds"], b["cells"]) == (3, 2, 2)
    assert a["behind, final"] == pytest.approx(-1 / 3)
    assert a["± final"] == pytest.approx(math.sqrt(7 / 3) / math.sqrt(3))
    assert a["ahead of gp"] == pytest.approx(0.5)
    assert b["behind, final"] == pytest.approx(2.5)
    assert b["± final"] == pytest.approx(0.5)
    assert (a["within 1e-2"], a["gp's"]) == (1.0, pytest.approx(2 / 3))
    assert pairs([cell("p", 0, "gp", -1), cell("p", 0, "a", -1)])[0]["± final"] is None
    assert medians(CELLS) == [
        {"problem": "p", "gp": -3.25, "a": -2.75, "b": -0.75},
        {"problem": "q", "gp": -1, "a": -3},
    ]


def test_the_median_curve_and_its_interval_are_order_statistics():
    """Of ten values the second and the ninth: they hold the median with 97.9%; the third and the eighth with 89.1%."""
    heights = np.random.default_rng(0).permutation(10)
    curves = [
        cell("p", seed, name, 0) | {"curve": np.array([height, 0.0])}
        for seed, height in enumerate(heights)
        for name in ("gp", "a")
    ]
    rows = search_ranks.curves([*curves, cell("p", 10, "gp", 0) | {"curve": np.array([99.0, 99.0])}])  # not on a's list
    assert [(row["sampler"], row["cells"]) for row in rows] == [("gp", 10), ("a", 10)]
    assert [rows[0][what] for what in ("low", "median", "high")] == [[1.0, 0.0], [4.5, 0.0], [8.0, 0.0]]
    assert search_ranks.curves(curves[:10]) == []  # of five no two hold it with 95%


def test_a_race_is_the_shared_start_then_the_contestants_own():
    asked = []

    def last(problem, seed):
        return lambda seen: asked.append(len(seen)) or {"x0": 0.0, "x1": 0.1 * (len(seen) - 9)}

    regret, _ = search_cells.race(last, BOWL, 3, budget=13)
    start = search_cells.SobolSequence(2, 3)
    losses = [BOWL.loss(BOWL.space.decode(start[n])) for n in range(10)]
    assert asked == [10, 11, 12]
    np.testing.assert_allclose(regret[:10] * BOWL.scale, np.minimum.accumulate(losses))
    np.testing.assert_allclose(regret[-1] * BOWL.scale, min(*losses, 0.01))


def test_cells_of_peers_are_kept_and_not_run_again(tmp_path, monkeypatch):
    path, runs = tmp_path / "cells.jsonl", []
    monkeypatch.setattr(search_cells, "release", lambda name: {"peer": "peer 1.0"}.get(name, ""))

    def counted(name):
        def contestant(problem, seed):
            runs.append((name, problem.name, seed))
            return search_peers.OURS["random"](problem, seed)

        return contestant

    def go(seeds, problem=BOWL, **options):
        runs.clear()
        racing = {name: counted(name) for name in ("own", "peer")}
        return list(search_cells.compare([problem], racing, seeds, path, **options))

    first = go([0, 1])
    assert len(runs) == 4
    again = go([0, 1, 2])
    assert runs == [("own", "bowl", 0), ("own", "bowl", 1), ("own", "bowl", 2), ("peer", "bowl", 2)]
    for old, new in zip(first, again, strict=False):
        np.testing.assert_allclose(old.pop("curve"), new.pop("curve"), atol=1e-4)
        assert (old["problem"], old["seed"], old["sampler"]) == (new["problem"], new["seed"], new["sampler"])
    assert [json.loads(line)["key"][2:] for line in path.read_text().splitlines()] == [
        [seed, "peer", "peer 1.0"] for seed in (0, 1, 2)
    ]

    path.write_text(path.read_text()[:-40])  # killed while it wrote
    assert [c["seed"] for c in go([2], only_done=True) if c["sampler"] == "peer"] == []
    go([2])
    assert ("peer", "bowl", 2) in runs
    go([0, 1, 2])
    assert [run for run in runs if run[0] == "peer"] == []
    go([0], real("bowl", lambda x: float(2 * x @ x), -1, 2, 2, 0.0))  # another function under the same name
    assert ("peer", "bowl", 0) in runs
    monkeypatch.setattr(search_cells, "release", lambda name: {"peer": "peer 1.1"}.get(name, ""))
    go([0])
    assert ("peer", "bowl", 0) in runs


@pytest.mark.parametrize("name", search_peers.PEERS)
def test_every_peer_gives_valid_parameters_and_learns(name):
    _, needs, contestant = search_peers.PEERS[name]
    for module in needs:
        pytest.importorskip(module, reason="the peer is not installed")

    def loss(params):
        space.check(params)
        return (math.log10(params["rate"]) + 2) ** 2 + params["depth"] + params["width"] / 64 + params.get("bend", 0.5)

    space = MIXED
    regret, seconds = search_cells.race(contestant, Problem("mixed", space, loss, 1.0), 0, budget=13)
    assert len(regret) == 13
    assert seconds > 0


def test_who_is_missing_is_told(monkeypatch):
    monkeypatch.setattr(search_peers, "find_spec", lambda name: None if name in ("botorch", "torch") else object())
    assert search_peers.missing() == ["botorch", "torch"]
    assert set(search_peers.contestants(True)) == {
        "gp", "sobol", "random", "optuna tpe", "scikit-optimize", "bayesian-optimization"
    }  # fmt: skip
    assert set(search_peers.contestants(False)) == {"gp", "sobol", "random"}
    monkeypatch.setattr(search_peers, "find_spec", lambda name: None)
    out = optlab_main(monkeypatch, "--peers", "--only", "regret", "--methods", "random,sobol", "--problems", "branin")
    assert f"not installed, so not compared: {', '.join(search_peers.missing())}" in out


def optlab_main(monkeypatch, *arguments):
    import contextlib
    import io

    monkeypatch.setattr("sys.argv", ["search", "--seeds", "0", *arguments])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        search.main()
    return out.getvalue()


def test_a_study_asks_what_the_sampler_proposes():
    """Through ask and tell, as a user does."""
    problem = real("branin", branin, [-5, 0], [10, 15], 2, 0.4)
    sampler = Random(seed=4)
    sampler.bind(problem.space)
    ask = search_peers.ours(lambda seed: Random(seed=seed))(problem, 4)
    seen = []
    for n in range(14):
        params = sampler.propose([n], seen)[0] if n < 10 else ask(seen)
        assert params == sampler.propose([n], seen)[0]
        seen.append(search_cells.Observation(n, params, problem.loss(params), "complete"))


# --- cost -------------------------------------------------------------------------------------------------------------


def test_costs_are_taken_in_turns_with_one_growth_of_ours(monkeypatch):
    calls = []

    def made(name):
        def contestant(problem, seed):
            return lambda seen: calls.append((name, len(seen))) or problem.space.decode(np.full(6, 0.5))

        return contestant

    racing = {name: made(name) for name in ("gp", "optuna gp")}
    taken = search_cost.measure(racing, 500)
    assert {name: len(seconds) for name, seconds in taken.items()} == {"gp": 50, "optuna gp": 5}
    assert [n for name, n in calls if name == "gp"] == list(range(500, 551))  # the first one is not counted
    names = [name for name, _ in calls[2:]]
    assert names.count("gp") == 50
    assert names != sorted(names)
    row = search_cost.row(500, {"gp": [0.001, 0.001, 0.004], "optuna gp": [0.1]})
    assert (row["gp"], row["between fits"], row["optuna gp x"]) == pytest.approx((2.0, 1.0, 50.0))


def test_who_is_too_slow_for_more_results_is_left_out():
    racing = dict.fromkeys(("gp", "sobol", "optuna gp", "botorch"))
    assert list(search_cost.entrants(racing, 50, {})) == ["gp", "optuna gp", "botorch"]
    assert list(search_cost.entrants(racing, 500, {"results": 200, "gp": 1.0, "optuna gp": 9.0, "botorch": 9.0})) == [
        "gp", "optuna gp"
    ]  # fmt: skip
    for milliseconds, takes_part in ((7000.0, True), (8000.0, False)):  # 2^3 times as long: 56 and 64 s
        before = {"results": 1000, "gp": 1.0, "optuna gp": milliseconds}
        assert ("optuna gp" in search_cost.entrants(racing, 2000, before)) is takes_part


def test_exponents():
    rows = [{"results": n, "gp": n**1.5, "between fits": 1.0, "peer": n**2.5, "peer x": n} for n in (200, 500, 1000)]
    rows.insert(0, {"results": 50, "gp": 5000.0, "between fits": 1.0})
    assert search_cost.exponent(rows, "gp") == pytest.approx(1.5)
    assert search_cost.exponent(rows, "peer") == pytest.approx(2.5)
    assert search_cost.exponent(rows[:2], "gp") is None


def test_goals_say_what_was_measured():
    lines = search.goals_of_cost([{"results": 200, "gp": 8.0, "optuna gp x": 25.0}, {"results": 2000, "gp": 700.0}])
    assert [line[:6] for line in lines] == ["met   ", "met   ", "MISSED", "met   "]
    assert lines[-1] == "met    time grows as results^1.94 from 200 on, goal at most 2.0"
    row = {"to gp": "botorch", "behind, final": 1.2, "± final": 0.1}
    ranked = [{"sampler": n, "rank final": 1.5, "rank mean": m} for n, m in (("gp", 1.4), ("botorch", 1.6))]
    assert [line[:6] for line in search.goals_of_regret(ranked, [row])] == ["MISSED", "MISSED", "met   "]


def test_the_first_suggestion_after_a_resume_is_timed_without_and_with_saved_fits(monkeypatch, capsys):
    seen = []

    def seconds(path):
        study = search_resume.Study(search_cost.bowl().space, search_resume.GP(seed=0), storage=path)
        seen.append((len(study.complete), bool(study._store.states())))
        search_resume.first_ask(str(path))
        return json.loads(capsys.readouterr().out)

    monkeypatch.setattr(search_resume, "seconds", seconds)
    [row] = search_resume.rows([12])
    assert seen == [(12, False), (12, True)]
    assert (row["results"], row["resumed s"] > 0) == (12, True)
    lines = search_resume.goals([{"results": 1000, "resumed s": 0.31}, {"results": 3000, "resumed s": 1.0}, row])
    assert [line[:6] for line in lines] == ["MISSED", "met   "]


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_runs_what_it_is_told():
    options = ("--only", "regret", "--methods", "random,sobol", "--problems", "branin", "--seeds", "0-1,3", "--json")
    document = json.loads(optlab("bench", "search", *options).stdout)
    assert [row["sampler"] for row in document["ranks"]] == ["random", "sobol"]
    assert document["ranks"][0]["cells"] == 3
    assert document["command"] == (
        "optlab bench search --seeds 0-1,3 --methods random,sobol --problems branin --only regret"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("search", "--methods", "randon"), "did you mean 'random'"),
        (("search", "--problems", "branni"), "did you mean 'branin'"),
        (("search", "--seeds", "a"), "seeds as 0-9 or 0,2,5"),
        (("kernels", "--done"), "--done: only for `optlab bench search`"),
        (("kernels", "--cells", "x.jsonl"), "--cells: only for `optlab bench search` or `all`"),
    ],
)
def test_mistakes_are_told(options, message):
    done = optlab("bench", *options, check=None)
    assert done.returncode
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_sets_of_problems():
    assert len(search.problems("suite")) == 16
    assert all(p.noise for p in search.problems("noisy"))
    assert all(any(isinstance(x, Choice) for x in p.space.values()) for p in search.problems("mixed"))
    assert [p.name for p in search.problems("branin")] == ["branin"]
    with pytest.raises(ConfigError, match="unknown set of problems"):
        search.problems("none")
