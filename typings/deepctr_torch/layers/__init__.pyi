from torch import Tensor, nn

class FM(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor: ...
