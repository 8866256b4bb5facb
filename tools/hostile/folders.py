"""Group 9: odd folders of models"""

import json
from pathlib import Path

from hostile.cases import Case, case_folder
from hostile.material import copy_model, wrong_model, wrong_ranking, wrong_samples


def edit_json(path, **fields):
    "Change fields of a JSON file"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **fields}))


def edit_weights(folder, change):
    "Write the weights of a folder again after `change` of the dictionary"
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    weights = dict(load_file(path))
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def missing_weights(folder):
    (folder / "model.safetensors").unlink()


def missing_tensor(folder):
    edit_weights(folder, lambda w: w.pop("model.layers.0.mlp.up_proj.weight"))


def wrong_names(folder):
    def rename(weights):
        for name in [*weights]:
            weights[f"other.{name}"] = weights.pop(name)

    edit_weights(folder, rename)


def size_mismatch(folder):
    edit_json(folder / "config.json", hidden_size=48, head_dim=24)


def more_layers(folder):
    edit_json(folder / "config.json", num_hidden_layers=3)


def fewer_layers(folder):
    edit_json(folder / "config.json", num_hidden_layers=1)


def extra_weights(folder):
    import numpy as np

    edit_weights(folder, lambda w: w.update({"v_head.weight": np.ones((1, 4), np.float32)}))


def nan_weights(folder):
    def spoil(weights):
        weights["model.norm.weight"] = weights["model.norm.weight"] * float("nan")

    edit_weights(folder, spoil)


def half_of_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def weights_of_text(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")


def no_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


def empty_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{}")


def broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"version": ')


def empty_config(folder):
    (folder / "config.json").write_text("{}")


def broken_config(folder):
    (folder / "config.json").write_text('{"model_type": ')


def config_list(folder):
    (folder / "config.json").write_text("[]")


def unknown_type(folder):
    edit_json(folder / "config.json", model_type="nosuchmodel", architectures=["NoSuchModel"])


def own_code(folder):
    edit_json(
        folder / "config.json", model_type="mine", auto_map={"AutoConfig": "configuration.Mine"}
    )
    (folder / "configuration.py").write_text("raise SystemExit('own code was run')")


def adapter(folder):
    missing_weights(folder)
    (folder / "config.json").unlink()
    content = {"base_model_name_or_path": "no/such/base", "peft_type": "LORA", "r": 8}
    (folder / "adapter_config.json").write_text(json.dumps(content))


def pad_outside(folder):
    edit_json(folder / "config.json", pad_token_id=100_000)


def added_pad(folder):
    "A [PAD] that has no row in the embedding, as many tutorials add it"
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)


def no_end(folder):
    edit_json(folder / "tokenizer_config.json", eos_token=None)
    edit_json(folder / "config.json", eos_token_id=None)


def odd_generation_config(folder):
    content = {"temperature": 0.0, "do_sample": True, "num_beams": 4, "max_length": 3}
    (folder / "generation_config.json").write_text(json.dumps(content))


def broken_generation_config(folder):
    (folder / "generation_config.json").write_text("[")


def broken_template(folder):
    (folder / "chat_template.jinja").write_text("{% if %}")


def empty_folder(folder):
    for path in folder.iterdir():
        path.unlink()


def unchanged(folder):
    pass


ERRORS = (
    missing_weights,
    missing_tensor,
    wrong_names,
    size_mismatch,
    more_layers,
    half_of_weights,
    weights_of_text,
    no_tokenizer,
    empty_tokenizer,
    broken_tokenizer,
    empty_config,
    broken_config,
    config_list,
    unknown_type,
    own_code,
    adapter,
    empty_folder,
    nan_weights,
)
EITHER = (
    fewer_layers,
    extra_weights,
    no_end,
    pad_outside,
    added_pad,
    broken_generation_config,
    broken_template,
)
RESULTS = (unchanged, odd_generation_config)


def prepare(material, root):
    "Write all odd folders; runs in a child, since some need transformers"
    for change in (*ERRORS, *EITHER, *RESULTS):
        change(copy_model(Path(material) / "model", Path(root) / change.__name__))
    (Path(root) / "a_link").symlink_to(Path(material) / "model")
    (Path(root) / "link_to_nowhere").symlink_to(Path(root) / "nowhere")


def command_lines(material, folder):
    "Commands that load a model, with the checks of their results"
    records = material / "records.json"
    ranked = material / "ranked.jsonl"
    short = ["--max-new-tokens", "24", "--n", "2"]
    training = ["--epochs", "1", "--batch-size", "4"]
    evaluation = ["--bench", "vicuna", "--data", material / "bench", "--limit", "1"]

    def trained(case):
        return wrong_model(case.folder / "trained")

    return {
        "tuna_prob_rank": (
            [records, folder, "out.jsonl", *short],
            lambda case: wrong_ranking(case.folder / "out.jsonl"),
        ),
        "tuna_sample": (
            [records, folder, "out.jsonl", *short, "--max-trials", "0"],
            lambda case: wrong_samples(case.folder / "out.jsonl"),
        ),
        "tuna_train": ([folder, ranked, "trained", *training], trained),
        "tuna_prm": ([folder, ranked, "trained", *training, "--held-out", "0"], trained),
        "tuna_eval": ([folder, "scores", *evaluation, "--new-tokens", "4"], lambda case: ""),
        "tuna_doctor": (["--recipe", "Tuna_p", "--model", folder], lambda case: ""),
    }


def odd_folders(runner, root, material):
    "Group 9: odd model folders × commands"
    models = root / "models"
    models.mkdir()
    runner.must(["hostile.folders:prepare", material, models], root)
    expected = {change.__name__: "error" for change in ERRORS}
    expected |= {change.__name__: "either" for change in EITHER}
    expected |= {change.__name__: "result" for change in RESULTS}
    expected |= {"a_link": "result", "link_to_nowhere": "error"}
    cases = []
    for name, expect in expected.items():
        for command, (words, check) in command_lines(material, models / name).items():
            if command == "tuna_doctor":  # looks at the configuration alone
                expect = "either"
            title = f"{name}, {command}"
            case = Case(title, [command, *words], case_folder(root, title), expect, check)
            cases.append(case)
    return runner.run_all(cases)
