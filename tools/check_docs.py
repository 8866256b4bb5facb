"All of the docs build up to Quarto: nbdev's processors over every notebook, and the sidebar against the files."
import os,re,sys,warnings
os.environ.update(HF_HUB_OFFLINE='1', TUNA_PROGRESS='0')
import yaml
from execnb.nbio import read_nb
from fastcore.xtras import working_directory
from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.processors import FilterDefaults
from nbdev.quarto import refresh_quarto_yml

def pages(contents):
    "The sidebar's pages in reading order"
    for o in contents:
        if isinstance(o, str): yield o
        else: yield from pages(o['contents'])

def check_sidebar(cfg, files):
    link = cfg.nbs_path/'_quarto.yml'
    if not link.is_symlink() or os.readlink(link)!='../_quarto.yml': yield 'nbs/_quarto.yml is not a link to ../_quarto.yml'
    shown = list(pages(yaml.safe_load(link.read_text(encoding='utf-8'))['website']['sidebar']['contents']))
    have = [p.relative_to(cfg.nbs_path).as_posix() for p in files]
    yield from (f'_quarto.yml: the sidebar lacks {o}' for o in have if o not in shown)
    yield from (f'_quarto.yml: the sidebar has {o}, which does not exist' for o in shown if o not in have)

def check_page(p):
    "The docs build runs the cells with imports and exports: those hold nothing else, and each documented name comes out"
    nb = read_nb(p)
    try:
        with working_directory(p.parent): FilterDefaults()(nb)
    except Exception as e: return (yield f'{p.name}: {e} {e.__cause__ or ""}')
    for c in nb.cells:
        if c.cell_type=='code' and re.search(r'^show_doc\(', c.source, flags=re.MULTILINE) and not c.get('outputs'): yield f'{p.name}: no documentation from {c.source.splitlines()[-1]}'

if __name__=='__main__':
    warnings.filterwarnings('error', message='Found cells containing imports')
    cfg,files = get_config(),sorted(nbglob(as_path=True))
    sys.path.insert(0, str(cfg.config_path))
    refresh_quarto_yml()
    bad = list(check_sidebar(cfg, files))
    for p in files:
        bad += check_page(p)
        print(p.relative_to(cfg.nbs_path), flush=True)
    for o in bad: print(o)
    sys.exit(bool(bad))
