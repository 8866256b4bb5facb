__version__ = "0.1.0"

from importlib import import_module as _import_module

# The main names can be imported from here. Each is looked up on first use, so that a user of the data alone never imports torch.
_names = {
    'utils.core': 'TunaError',
    'models.endpoint': 'Endpoint',
    'models.generation': 'Generation',
    'models.batch': 'BatchEndpoint',
    'models.cache': 'Store',
    'models.cost': 'load_prices write_prices',
    'models.local': 'LocalModel',
    'models.vllm': 'VLLMModel',
    'utils.hub': 'push_model push_ranked',
    'utils.views': 'view_rankings view_changes',
    'training.curves': 'view_training',
    'data': 'format_prompt load_instructions load_ranked save_ranked from_lmops_prob from_lmops_ctx from_lmops_train to_preference head tail peek',
    'prob_ranking': 'teacher_score rank_by_score prob_rank',
    'contextual_ranking': 'rouge_l pairwise_rouge_l judge_prompt Verdict parse_verdict contextual_rank rank_agreement',
    'diverse_sampling': 'diverse_sample sample_responses',
    'pairwise_ranking': 'pairwise_rank',
    'judge.reports': 'length_report without_length',
    'loss': 'mean_logp rank_loss mle_loss tuna_loss',
    'scoring': 'RankedCollator',
    'train': 'TunaConfig TunaTrainer sft tune',
    'reward_model': 'train_prm prm_rank prm_accuracy',
    'paper.recipes': 'RECIPES',
    'eval': 'evaluate',
    'paper.tables': 'results_table',
    'mini.example': 'write_example',
    'ablations': 'EXPERIMENTS run_experiments plot_lambda plot_data_size plot_length_bias',
}
_home = {name: module for module,names in _names.items() for name in names.split()}
__all__ = list(_home)

def __getattr__(name):
    if name not in _home:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_home[name]}"), name)

def __dir__(): return sorted([*globals(), *__all__])
