"""placeholder"""
from striate import nn
from striate.models.registry import register
@register
def captcha(alphabet: str = "0123456789", length: int = 4) -> nn.Module:
    return nn.Identity()
