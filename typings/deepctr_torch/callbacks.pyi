from collections.abc import Iterable, Mapping
from typing import Any

Logs = Mapping[str, Any]

class Callback:
    model: Any
    params: dict[str, Any]
    def set_model(self, model: Any) -> None: ...
    def set_params(self, params: dict[str, Any] | None) -> None: ...
    def on_train_begin(self, logs: Logs | None = None) -> None: ...
    def on_train_end(self, logs: Logs | None = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None: ...

class CallbackList:
    callbacks: list[Callback]
    model: Any
    params: dict[str, Any]
    def __init__(self, callbacks: Iterable[Callback] | None = None) -> None: ...
    def append(self, callback: Callback) -> None: ...
    def set_model(self, model: Any) -> None: ...
    def set_params(self, params: dict[str, Any] | None) -> None: ...
    def on_train_begin(self, logs: Logs | None = None) -> None: ...
    def on_train_end(self, logs: Logs | None = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None: ...

class History(Callback):
    epoch: list[int]
    history: dict[str, list[float]]

class EarlyStopping(Callback):
    monitor: str
    min_delta: float
    patience: int
    verbose: int
    mode: str
    baseline: float | None
    restore_best_weights: bool
    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ) -> None: ...

class ModelCheckpoint(Callback):
    filepath: str
    monitor: str
    verbose: int
    save_best_only: bool
    save_weights_only: bool
    period: int
    def __init__(
        self,
        filepath: str,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        period: int = 1,
    ) -> None: ...
