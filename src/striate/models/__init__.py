"""Networks ready to train, one file a paper.

    models.list()                              names
    models.create("lenet", num_classes=10)     a new network by name; so does models.lenet(num_classes=10)

Importing a model's file registers it.
"""

from striate.models.captcha import captcha
from striate.models.lenet import lenet
from striate.models.registry import create, register
from striate.models.registry import names as list
from striate.models.small_cnn import small_cnn

__all__ = ["captcha", "create", "lenet", "list", "register", "small_cnn"]
