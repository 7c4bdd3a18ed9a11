"""Networks ready to train, one file a paper.

    models.list()                              names
    models.create("lenet", num_classes=10)     a new network by name; so does models.lenet(num_classes=10)
    models.resnet18(weights="file.pth")        with weights from a file, or published ones by name
    models.input_shape(net)                    (C, H, W) that a network was made for

Importing a model's file registers it.
"""

from striate.models.alexnet import alexnet, alexnet_2gpu, alexnet_owt, alexnet_tiny
from striate.models.captcha import captcha
from striate.models.convs import AuxiliaryLoss
from striate.models.demo import demo
from striate.models.espcn import espcn
from striate.models.googlenet import googlenet, googlenet_bn, googlenet_tiny
from striate.models.inception import inception_v3, inception_v3_tiny
from striate.models.lenet import lenet
from striate.models.lenet5 import lenet5
from striate.models.mobilenet_v1 import mobilenet_v1, mobilenet_v1_tiny
from striate.models.mobilenet_v2 import mobilenet_v2, mobilenet_v2_tiny
from striate.models.nin import nin, nin_tiny
from striate.models.registry import create, input_shape, register
from striate.models.registry import names as list
from striate.models.resnet import resnet18, resnet34, resnet50, resnet101, resnet152, resnet_tiny
from striate.models.resnet_cifar import resnet_cifar
from striate.models.segmentation import segmenter_dilated, segmenter_transposed
from striate.models.small_cnn import small_cnn
from striate.models.sppnet import sppnet, sppnet_tiny
from striate.models.textcnn import textcnn
from striate.models.vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn, vgg_tiny
from striate.models.xception import xception, xception_tiny
from striate.models.zfnet import zfnet, zfnet_tiny

__all__ = [
    "AuxiliaryLoss",
    "alexnet",
    "alexnet_2gpu",
    "alexnet_owt",
    "alexnet_tiny",
    "captcha",
    "create",
    "demo",
    "espcn",
    "googlenet",
    "googlenet_bn",
    "googlenet_tiny",
    "inception_v3",
    "inception_v3_tiny",
    "input_shape",
    "lenet",
    "lenet5",
    "list",
    "mobilenet_v1",
    "mobilenet_v1_tiny",
    "mobilenet_v2",
    "mobilenet_v2_tiny",
    "nin",
    "nin_tiny",
    "register",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_cifar",
    "resnet_tiny",
    "segmenter_dilated",
    "segmenter_transposed",
    "small_cnn",
    "sppnet",
    "sppnet_tiny",
    "textcnn",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vgg_tiny",
    "xception",
    "xception_tiny",
    "zfnet",
    "zfnet_tiny",
]  # fmt: skip
