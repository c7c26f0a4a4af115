"""Train any model of the table on Alibaba's display advertising data (Taobao): --model_name int_tower, dssm, lr, ..."""

from experiment.options import Options
from experiment.script import run
from experiment.whole_models import train_any_model
from preprocessing.load import load_taobao
from preprocessing.raw import RawData


def load(options: Options) -> RawData:
    raw = load_taobao(options.data_path, options.pid_placement, options.cache)
    return raw.sample(options.sample_rate, options.seed)


def main() -> None:
    train_any_model("taobao", load)


if __name__ == "__main__":
    run(main)
