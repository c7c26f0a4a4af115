"""DSSM's gamma, which scales its cosine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import fit, small_model

from foundation.errors import InputError


class TestGammaOfDssm:
    def probabilities(self, data, gamma):
        model = small_model("dssm", data, gamma=gamma)
        fit(model, data, 3)
        return model, model.predict(data.test)

    def test_published_gamma_keeps_logits_within_two_of_each_other(self, data):
        _, probabilities = self.probabilities(data, 1.0)
        logits = np.log(probabilities / (1 - probabilities))
        assert 0 < np.ptp(logits) <= 2  # a cosine lies in -1..1

    def test_learned_gamma_is_trained(self, data):
        untrained = small_model("dssm", data, gamma="learned").state_dict()
        model, _ = self.probabilities(data, "learned")
        names = [name for name in untrained if "gamma" in name]
        assert names
        assert all(not torch.equal(model.state_dict()[name], untrained[name]) for name in names)

    @pytest.mark.parametrize("gamma", [0.0, -1.0, "auto"])
    def test_bad_values_are_refused(self, data, gamma):
        with pytest.raises(InputError, match=r"gamma must be a positive number or 'learned'\. Received"):
            small_model("dssm", data, gamma=gamma)
