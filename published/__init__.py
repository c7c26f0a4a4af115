"""What the published training scripts import and this project calls otherwise (`docs/published_scripts.md`).

Everything that adapts stands here; `preprocessing.inputs`, `layers.interaction` and the other modules that the scripts
name hand it on. Nothing of this project imports it, but for those modules.
"""
