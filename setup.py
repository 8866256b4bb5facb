"All of the package's metadata stands in settings.ini, which nbdev reads too"

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    keywords=cfg["keywords"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Natural Language :: English",
        *(f"Programming Language :: Python :: 3.{o}" for o in (11, 12, 13)),
    ],
    packages=find_packages(include=["tuna_nb", "tuna_nb.*"]),
    package_data={"tuna_nb": ["py.typed", "**/*.json", "**/*.yaml"]},
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg["requirements"].split(),
    extras_require={
        o: cfg[f"{o}_requirements"].split()
        for o in ("dev", "vllm", "bertscore", "baselines", "gguf", "qlora", "harness", "inspect")
    },
    entry_points={
        "console_scripts": cfg["console_scripts"].split(),
        "nbdev": [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"],
        "inspect_ai": [f"{cfg['lib_name']}={cfg['lib_name']}.benchmarks.inspect_tasks"],
    },
    zip_safe=False,
)
