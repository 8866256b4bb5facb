"Draw nbs/images/result.svg, the picture at the top of the README, from the recorded results."

from pathlib import Path

from tuna_nb.experiments.headline import describe_result, picture_svg, plot_result
from tuna_nb.paper.results import load_results
from tuna_nb.utils.core import write_text

NOTEBOOKS = Path(__file__).resolve().parent.parent / "nbs"

if __name__ == "__main__":
    seeds = load_results(NOTEBOOKS / "mini" / "results.json")
    description = describe_result(seeds)
    picture = picture_svg(plot_result(seeds), "Models of the miniature", description)
    write_text(NOTEBOOKS / "images" / "result.svg", picture)
