"""Group 10: HTML in every field of every page, opened in Chromium"""

import json
from pathlib import Path

from hostile.cases import Case, Outcome, case_folder, skipped

EVIL = (
    '<img src=x onerror="alert(1)" data-evil><script data-evil>alert(2)</script>'
    "</title></style></svg></textarea><svg onload=alert(3) data-evil>"
    "\"'><b data-evil onmouseover='alert(4)'>bold</b> ${alert(5)} {{alert(6)}} "
    "[link](javascript:alert(7)) | cell |\n\n# heading\n---\n" + "W" * 300
)
SPY = "window.seen = []; window.alert = (text) => window.seen.push(text)"
LOOK = """() => ({
  alerts: window.seen,
  elements: document.querySelectorAll('[data-evil]').length,
  links: [...document.querySelectorAll('a')].filter((a) => /^javascript:/i.test(a.href)).length,
})"""


def evil(value):
    "The same structure with every text, and every key of free choice, made hostile"
    if isinstance(value, dict):
        return {key: evil(item) for key, item in value.items()}
    if isinstance(value, list):
        return [evil(item) for item in value]
    return EVIL if isinstance(value, str) else value


def ranked_record():
    "A record with all that view_rankings shows"
    return {
        "id": "a",
        "instruction": "i",
        "input": "j",
        "output": "o",
        "model": "m",
        "source": "s",
        "judge": "j",
        "responses": ["first", "second"],
        "finish_reasons": ["stop", "length"],
        "finish_reason": ["stop", "length"],
        "scores": [2.0, 1.0],
        "n_tokens": [2, 1],
        "logprobs": [-2.0, -1.0],
        "temperatures": [1.0, 1.1],
        "tokens": [["first", "x"], ["second"]],
        "token_logprobs": [[-1.0, -1.0], [-1.0]],
        "sampled": ["first", "second"],
        "votes": [
            {
                "verdict": "v",
                "shown": [0, 1],
                "ranking": [0, 1],
                "reason": "r",
                "ratings": [{"response": 0, "total": 3.0, "marks": [1.0, 2.0]}],
            }
        ],
    }


def page_rankings(out):
    from tuna_nb.utils.views import view_rankings

    view_rankings([evil(ranked_record()), evil(ranked_record())]).save(out)


def page_rankings_numbers(out):
    "HTML in the place of numbers"
    from tuna_nb.utils.views import view_rankings

    record = ranked_record()
    for column in ("scores", "n_tokens", "logprobs", "temperatures"):
        record[column] = [EVIL, EVIL]
    view_rankings([record]).save(out)


def page_rankings_marks(out):
    "HTML in the place of a judge's marks"
    from tuna_nb.utils.views import view_rankings

    record = ranked_record()
    record["votes"][0]["ratings"][0] |= {"total": EVIL, "marks": [EVIL]}
    view_rankings([record]).save(out)


def page_changes(out):
    from tuna_nb.utils.views import view_changes

    before = [{"id": EVIL, "instruction": EVIL, "response": EVIL, "text": EVIL, "output": EVIL}]
    after = [
        {"id": EVIL, "instruction": EVIL, **dict.fromkeys(("response", "text", "output"), "b")}
    ]
    view_changes(before, after, names=(EVIL, EVIL)).save(out)


def page_changes_prompts(out):
    from tuna_nb.utils.views import view_changes

    view_changes([f"a {EVIL}"], [f"b {EVIL} c"], prompts=[EVIL]).save(out)


def log_lines(**fields):
    "Lines of a training log"
    lines = []
    for step in (1, 2, 3):
        lines.append({"step": step, "loss": 1.0 / step, "epoch": step / 3, **fields})
    return lines


def page_training_names(out):
    from tuna_nb.training.curves import view_training

    view_training({EVIL: log_lines(), f"{EVIL}2": log_lines()}).save(out)


def page_training_fields(out):
    from tuna_nb.training.curves import view_training

    fields = {EVIL: 1.0, f"eval_{EVIL}": 2.0, "learning_rate": EVIL, "grad_norm": EVIL}
    view_training(log_lines(**fields)).save(out)


def training_file(out, **fields):
    "view_training on a trainer_state.json with such fields"
    from tuna_nb.training.curves import view_training

    path = Path(out).with_suffix(".json")
    path.write_text(json.dumps({"log_history": log_lines(**fields)}))
    view_training(path).save(out)


def page_training_step(out):
    training_file(out, step=EVIL)


def page_training_step_nan(out):
    training_file(out, step=EVIL, loss=float("nan"))


def page_training_loss(out):
    training_file(out, loss=EVIL)


def page_training_epoch(out):
    training_file(out, epoch=EVIL, rank_loss=EVIL, pair_accuracy=EVIL)


def page_annotation(out):
    from tuna_nb.benchmarks.annotation_page import annotation_form

    questions = [{"question_id": f"{EVIL}{n}", "text": EVIL, "category": EVIL} for n in range(2)]
    answers = {question["question_id"]: EVIL for question in questions}
    annotation_form(questions, {"one": answers, "two": answers}, out, title=EVIL)


def page_report_blocks(out):
    "Every kind of block of the miniature's report"
    from tuna_nb.experiments.page import page
    from tuna_nb.paper.tables import plain_table

    table = plain_table(EVIL, [EVIL, EVIL], [[EVIL, EVIL, EVIL]])
    blocks = [("h1", EVIL), ("p", EVIL), ("toc",), ("h2", EVIL), ("h3", EVIL), ("quote", EVIL)]
    blocks += [("table", table), ("fold", EVIL), ("p", EVIL), ("end",)]
    Path(out).write_text(page([*blocks, ("link", "report.html", EVIL)], {}))


def hostile_results():
    "The results of a run, hostile in every text"
    models = {
        name: {"lr": 1e-4, "val": 1.0, "super_ni": 1.0, EVIL: 2.0} for name in ("Alpaca", EVIL)
    }
    seed = {
        "seed": 0,
        "models": models,
        "examples": [
            {"instruction": EVIL, "input": EVIL, "responses": {"Alpaca": EVIL, "Tuna": EVIL}}
        ],
        "quality_by_rank": {EVIL: [0.5, 0.4]},
        "seconds": {EVIL: 3.0},
    }
    return {
        "title": EVIL,
        "about": EVIL,
        "config": {EVIL: EVIL},
        "versions": {EVIL: EVIL},
        "machine": {EVIL: EVIL},
        "seeds": [seed, {**seed, "seed": 1}],
    }


def page_report(out):
    "The miniature's report from hostile results"
    from tuna_nb.experiments.report import Section, write_report

    section = Section(EVIL[:200], EVIL, EVIL, EVIL, [("p", EVIL), ("h3", EVIL)])
    folder = Path(out).parent / "report"
    write_report(hostile_results(), [section], folder)
    Path(out).write_text((folder / "report.html").read_text())


def render(markdown, out):
    "A card as a page, as a site shows it that lets HTML through"
    import mistune

    head, found, body = markdown.removeprefix("---\n").partition("\n---\n")
    if not found:
        raise SystemExit("hostile.pages:render: the card has no YAML head")
    names = {line.partition(":")[0] for line in head.splitlines() if line[:1].isalpha()}
    known = {"license", "library_name", "pipeline_tag", "tags", "base_model", "size_categories"}
    known |= {"task_categories", "configs", "language", "datasets"}
    strange = names - known
    show = mistune.create_markdown(escape=False, plugins=["table"])
    text = show(body)
    if strange:
        text += f"<b data-evil>{len(strange)} strange names in the YAML head</b>"
    style = "body{font:16px sans-serif;overflow-wrap:anywhere}table{table-layout:fixed;width:100%}"
    page = f"<!doctype html><meta charset=utf-8><title>card</title><style>{style}</style>{text}"
    Path(out).write_text(page)


def hostile_model(out):
    "A folder whose records are hostile in every field"
    folder = Path(out).parent / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x")
    names = ("command", "model", "records", "template", "reduction", "report_to")
    (folder / "trained_on.json").write_text(json.dumps(dict.fromkeys(names, EVIL) | {EVIL: EVIL}))
    log = [{"loss": 1.0, EVIL: 2.0, "step": 3}]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    return folder


def page_model_card(out):
    from tuna_nb.utils.hub import model_card

    render(model_card(hostile_model(out), "me/tuna", license=EVIL), out)


def page_model_card_scores(out):
    from tuna_nb.utils.hub import model_card

    scores = Path(out).with_suffix(".json")
    scores.write_text(json.dumps({"cells": {EVIL: [1.0, 0.5, 1.5], "two": 3.0}}))
    render(model_card(hostile_model(out), "me/tuna", scores=scores), out)


def page_data_card(out):
    from datasets import Dataset

    from tuna_nb.utils.hub import dataset_card

    card = dataset_card(Dataset.from_list([evil(ranked_record())]), "me/data", license=EVIL)
    render(card, out)


MAKERS = {name: function for name, function in globals().items() if name.startswith("page_")}


def make(name, out):
    "Write one page; runs in a child"
    MAKERS[name](out)


def script_faults(page):
    "What hostile fields did to a page"
    found = page.evaluate(LOOK)
    faults = []
    if found["alerts"]:
        faults.append(f"scripts ran: alert({', '.join(map(str, found['alerts']))})")
    if found["elements"]:
        faults.append(f"{found['elements']} elements of a field are part of the page")
    if found["links"]:
        faults.append(f"{found['links']} links run a script")
    return faults


def look_at(browser, path, check):
    "Faults of one page: scripts, elements, and the layout as tools/check_pages.py sees it"
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.add_init_script(SPY)
    page.goto(path.absolute().as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach(o => o.open = true)")
    page.mouse.move(100, 300)
    page.wait_for_timeout(200)
    faults = script_faults(page)
    page.close()
    if "card" not in path.stem:  # the Hub lays cards out
        for width in (400, 1400):
            faults += check(browser, path, width, "light", 11)
    return faults


def hostile_html(runner, root, material):
    "Group 10: hostile HTML in every field of every page"
    try:
        from check_pages import check, find_browser
        from playwright.sync_api import sync_playwright
    except ImportError as e:
        return [skipped("pages", f"no browser can be steered here: {e}")]
    if not (program := find_browser()):
        return [skipped("pages", "no chromium here")]
    cases = []
    for name in MAKERS:
        folder = case_folder(root, name)
        path = folder / f"{name}.html"
        cases.append(Case(name, ["hostile.pages:make", name, path], folder))
    outcomes = runner.run_all(cases)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for number, outcome in enumerate(outcomes):
            if outcome.verdict != "right":
                continue
            if faults := look_at(browser, Path(outcome.case.words[-1]), check):
                said = "; ".join(faults)[:500]
                outcomes[number] = Outcome(outcome.case, "silent", said, outcome.seconds)
        browser.close()
    return outcomes
