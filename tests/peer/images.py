"""Networks that make images of images: segmentation, detection, generation, super-resolution."""

import numpy as np
from tests.peer.network import array, network


@network((3, 13, 11), other=(3, 16, 12))
def unet(n, t):
    """Down, up, and skips by concatenation (arXiv:1505.04597); odd sizes are padded to those of the skip."""
    F = n.functional

    class DoubleConv(n.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.double_conv = n.Sequential(
                n.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False), n.BatchNorm2d(outputs), n.ReLU(inplace=True),
                n.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False), n.BatchNorm2d(outputs), n.ReLU(inplace=True))

        def forward(self, x):
            return self.double_conv(x)

    class Up(n.Module):
        def __init__(self, inputs, outputs, bilinear):
            super().__init__()
            if bilinear:
                self.up = n.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            else:
                self.up = n.ConvTranspose2d(inputs, inputs, kernel_size=2, stride=2)
            self.conv = DoubleConv(inputs + outputs, outputs)

        def forward(self, x1, x2):
            x1 = self.up(x1)
            dy, dx = x2.size()[2] - x1.size()[2], x2.size()[3] - x1.size()[3]
            x1 = F.pad(x1, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            return self.conv(t.cat([x2, x1], dim=1))

    class UNet(n.Module):
        def __init__(self):
            super().__init__()
            self.inc, self.down1, self.down2 = DoubleConv(3, 8), DoubleConv(8, 8), DoubleConv(8, 8)
            self.pool = n.MaxPool2d(2)
            self.up1, self.up2, self.outc = Up(8, 8, False), Up(8, 8, True), n.Conv2d(8, 2, kernel_size=1)

        def forward(self, x):
            x1 = self.inc(x)
            x2 = self.down1(self.pool(x1))
            x3 = self.down2(self.pool(x2))
            return self.outc(self.up2(self.up1(x3, x2), x1))

    return UNet()


@network((3, 13, 15), other=(3, 10, 9))
def deeplab(n, t):
    """Dilated branches and a global one, resized to the image (arXiv:1706.05587)."""
    F = n.functional

    class ASPPPooling(n.Sequential):
        def __init__(self, inputs, outputs):
            super().__init__(n.AdaptiveAvgPool2d(1), n.Conv2d(inputs, outputs, 1, bias=False), n.ReLU())

        def forward(self, x):
            size = x.shape[-2:]
            for mod in self:
                x = mod(x)
            return F.interpolate(x, size=size, mode="bilinear", align_corners=False)

    class ASPP(n.Module):
        def __init__(self, inputs, rates, outputs):
            super().__init__()
            modules = [n.Sequential(n.Conv2d(inputs, outputs, 1, bias=False), n.BatchNorm2d(outputs), n.ReLU())]
            for rate in tuple(rates):
                modules.append(n.Sequential(n.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate, bias=False),
                                            n.BatchNorm2d(outputs), n.ReLU()))
            modules.append(ASPPPooling(inputs, outputs))
            self.convs = n.ModuleList(modules)
            self.project = n.Sequential(n.Conv2d(len(self.convs) * outputs, outputs, 1, bias=False), n.BatchNorm2d(outputs),
                                        n.ReLU())

        def forward(self, x):
            return self.project(t.cat([conv(x) for conv in self.convs], dim=1))

    class DeepLab(n.Module):
        def __init__(self):
            super().__init__()
            self.backbone = n.Sequential(n.Conv2d(3, 8, 3, stride=2, padding=1), n.ReLU())
            self.classifier = n.Sequential(ASPP(8, [2, 4, 6], 8), n.Conv2d(8, 3, 1))

        def forward(self, x):
            y = self.classifier(self.backbone(x))
            return {"out": F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)}

    return DeepLab()


@network((3, 21, 19))
def fcn(n, t):
    """Scores of several depths, upsampled by transposed convolutions, cropped and added (arXiv:1411.4038)."""
    F = n.functional

    class FCN(n.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = n.Conv2d(3, 8, 3, padding=4)
            self.conv2 = n.Conv2d(8, 8, 3, padding=1)
            self.conv3 = n.Conv2d(8, 8, 3, padding=1)
            self.score2, self.score3 = n.Conv2d(8, 3, 1), n.Conv2d(8, 3, 1)
            self.upscore2 = n.ConvTranspose2d(3, 3, 4, stride=2, bias=False)
            self.upscore4 = n.ConvTranspose2d(3, 3, 8, stride=4, bias=False)

        def forward(self, x):
            h = F.max_pool2d(F.relu(self.conv1(x)), 2, stride=2, ceil_mode=True)
            pool2 = F.max_pool2d(F.relu(self.conv2(h)), 2, stride=2, ceil_mode=True)
            pool3 = F.max_pool2d(F.relu(self.conv3(pool2)), 2, stride=2, ceil_mode=True)
            up = self.upscore2(self.score3(pool3))
            score = self.score2(pool2)[:, :, 1:1 + up.size()[2], 1:1 + up.size()[3]]
            h = self.upscore4(score + up[:, :, :score.size(2), :score.size(3)])
            return h[:, :, 2:2 + x.size()[2], 2:2 + x.size()[3]].contiguous()

    return FCN()


@network((3, 12, 13))
def pspnet(n, t):
    """A pyramid of pooled maps, each resized back (arXiv:1612.01105)."""
    F = n.functional

    class PPM(n.Module):
        def __init__(self, channels, bins):
            super().__init__()
            self.features = []
            for size in bins:
                self.features.append(n.Sequential(n.AdaptiveAvgPool2d(size), n.Conv2d(channels, 4, 1, bias=False),
                                                  n.BatchNorm2d(4),
                                                  n.ReLU(inplace=True)))
            self.features = n.ModuleList(self.features)

        def forward(self, x):
            x_size, out = x.size(), [x]
            for f in self.features:
                out.append(F.interpolate(f(x), x_size[2:], mode="bilinear", align_corners=True))
            return t.cat(out, 1)

    return n.Sequential(n.Conv2d(3, 8, 3, padding=1), n.ReLU(), PPM(8, (1, 2, 3, 6)), n.Dropout2d(p=0.1), n.Conv2d(24, 3, 1))


@network((3, 21, 18))
def fpn(n, t):
    """Top-down sums of all levels, returned as a list (arXiv:1612.03144)."""
    F = n.functional

    class FPN(n.Module):
        def __init__(self):
            super().__init__()
            self.bottom_up = n.ModuleList([n.Conv2d(3, 8, 3, 2, 1), n.Conv2d(8, 16, 3, 2, 1), n.Conv2d(16, 16, 3, 2, 1)])
            self.lateral = n.ModuleList([n.Conv2d(c, 8, 1) for c in (8, 16, 16)])
            self.smooth = n.ModuleList([n.Conv2d(8, 8, 3, padding=1) for _ in range(3)])

        def forward(self, x):
            levels = []
            for conv in self.bottom_up:
                x = F.relu(conv(x))
                levels.append(x)
            inner = [lateral(level) for lateral, level in zip(self.lateral, levels)]
            for i in reversed(range(2)):
                inner[i] = inner[i] + F.interpolate(inner[i + 1], size=inner[i].shape[-2:], mode="nearest")
            return [smooth(level) for smooth, level in zip(self.smooth, inner)]

    return FPN()


@network((3, 20, 24))
def yolo_tiny(n, t):
    """Anchors, objectness, boxes by sigmoid and exp on a grid, classes (arXiv:1612.08242)."""

    class Yolo(n.Module):
        def __init__(self, anchors=2, classes=3):
            super().__init__()
            layers, channels = [], 3
            for width in (8, 16):
                layers += [n.Conv2d(channels, width, 3, 1, 1, bias=False), n.BatchNorm2d(width), n.LeakyReLU(0.1, inplace=True),
                           n.MaxPool2d(2, 2)]
                channels = width
            self.features = n.Sequential(*layers)
            self.head, self.anchors, self.classes = n.Conv2d(16, anchors * (5 + classes), 1), anchors, classes

        def forward(self, x):
            y = self.head(self.features(x))
            b, _, h, w = y.shape
            y = y.view(b, self.anchors, self.classes + 5, h, w).permute(0, 1, 3, 4, 2).contiguous()
            xy = y[..., 0:2].sigmoid()
            wh = y[..., 2:4].exp() * 0.5
            confidence = y[..., 4:5].sigmoid()
            classes = y[..., 5:].softmax(-1)
            return t.cat((xy, wh, confidence, classes), -1).view(b, -1, 5 + self.classes)

    return Yolo()


@network((3, 19, 19))
def ssd(n, t):
    """Boxes and classes of every scale, joined along one axis (arXiv:1512.02325); scaled L2 norm of the first."""

    class L2Norm(n.Module):
        def __init__(self, channels, scale):
            super().__init__()
            self.eps, self.weight = 1e-10, n.Parameter(n.BatchNorm2d(channels).weight.data * scale)

        def forward(self, x):
            norm = x.pow(2).sum(dim=1, keepdim=True).sqrt() + self.eps
            x = x / norm
            return self.weight.unsqueeze(0).unsqueeze(2).unsqueeze(3).expand_as(x) * x

    class SSD(n.Module):
        def __init__(self, classes=3):
            super().__init__()
            self.classes, self.norm = classes, L2Norm(8, 20)
            self.body = n.ModuleList([n.Conv2d(3, 8, 3, 2, 1), n.Conv2d(8, 16, 3, 2, 1)])
            self.loc, self.conf = n.ModuleList(), n.ModuleList()
            for channels, boxes in ((8, 2), (16, 3)):
                self.loc += [n.Conv2d(channels, boxes * 4, kernel_size=3, padding=1)]
                self.conf += [n.Conv2d(channels, boxes * classes, kernel_size=3, padding=1)]

        def forward(self, x):
            sources, loc, conf = [], [], []
            for k, layer in enumerate(self.body):
                x = layer(x).relu()
                sources.append(self.norm(x) if k == 0 else x)
            for x, l, c in zip(sources, self.loc, self.conf):
                loc.append(l(x).permute(0, 2, 3, 1).contiguous())
                conf.append(c(x).permute(0, 2, 3, 1).contiguous())
            loc = t.cat([o.view(o.size(0), -1) for o in loc], 1)
            conf = t.cat([o.view(o.size(0), -1) for o in conf], 1)
            return loc.view(loc.size(0), -1, 4), conf.view(conf.size(0), -1, self.classes)

    return SSD()


@network((12, 1, 1))
def dcgan_generator(n, t):
    """Transposed convolutions from one pixel up (arXiv:1511.06434)."""

    def weights_init(m):
        classname = m.__class__.__name__
        if classname.find("Conv") != -1:
            n.init.normal_(m.weight, 0.0, 0.02)
        elif classname.find("BatchNorm") != -1:
            n.init.normal_(m.weight, 1.0, 0.02)
            n.init.constant_(m.bias, 0)

    net = n.Sequential(n.ConvTranspose2d(12, 16, 4, 1, 0, bias=False), n.BatchNorm2d(16), n.ReLU(True),
                       n.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), n.BatchNorm2d(8), n.ReLU(True),
                       n.ConvTranspose2d(8, 3, 3, 2, padding=1, output_padding=1, bias=False), n.Tanh())
    net.apply(weights_init)
    return net


@network((3, 16, 16))
def dcgan_discriminator(n, t):
    """Strided convolutions down to one number (arXiv:1511.06434)."""

    class Discriminator(n.Module):
        def __init__(self):
            super().__init__()
            self.main = n.Sequential(n.Conv2d(3, 8, 4, 2, 1, bias=False), n.LeakyReLU(0.2, inplace=True),
                                     n.Conv2d(8, 16, 4, 2, 1, bias=False), n.BatchNorm2d(16), n.LeakyReLU(0.2, inplace=True),
                                     n.Conv2d(16, 1, 4, 1, 0, bias=False), n.Sigmoid())

        def forward(self, input):
            return self.main(input).view(-1, 1).squeeze(1)

    return Discriminator()


@network((1, 14, 10))
def autoencoder(n, t):
    """Encoder and decoder as two parts of one network."""

    class Autoencoder(n.Module):
        def __init__(self):
            super().__init__()
            self.encoder = n.Sequential(n.Conv2d(1, 8, 3, stride=2, padding=1), n.ELU(), n.Conv2d(8, 4, 3, padding=1),
                                        n.Softplus())
            self.decoder = n.Sequential(n.ConvTranspose2d(4, 8, 3, padding=1), n.SELU(),
                                        n.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1), n.Sigmoid())

        def encode(self, x):
            return self.encoder(x)

        def forward(self, x):
            code = self.encode(x)
            return self.decoder(code), code

    return Autoencoder()


@network((1, 12, 12), (6,))
def vae(n, t):
    """Mean and logarithm of the variance; the noise is an input (arXiv:1312.6114)."""
    F = n.functional

    class VAE(n.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = n.Conv2d(1, 8, 4, 2, 1), n.Conv2d(8, 8, 4, 2, 1)
            self.fc_mu, self.fc_logvar, self.fc = n.Linear(72, 6), n.Linear(72, 6), n.Linear(6, 72)
            self.up1, self.up2 = n.ConvTranspose2d(8, 8, 4, 2, 1), n.ConvTranspose2d(8, 1, 4, 2, 1)

        def forward(self, x, noise):
            h = F.relu(self.conv2(F.relu(self.conv1(x)))).view(-1, 72)
            mu, logvar = self.fc_mu(h), self.fc_logvar(h)
            z = mu + noise * (0.5 * logvar).exp()
            y = self.up2(F.relu(self.up1(self.fc(z).view(-1, 8, 3, 3)))).sigmoid()
            kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1)
            return y, mu, logvar, kl

    return VAE()


@network((3, 9, 7), other=(3, 6, 10))
def edsr(n, t):
    """Residual blocks without norm, scaled, and pixel shuffle (arXiv:1707.02921)."""

    class ResBlock(n.Module):
        def __init__(self, feats, scale=0.1):
            super().__init__()
            body = []
            for i in range(2):
                body.append(n.Conv2d(feats, feats, 3, padding=3 // 2))
                if i == 0:
                    body.append(n.ReLU(True))
            self.body, self.res_scale = n.Sequential(*body), scale

        def forward(self, x):
            res = self.body(x).mul(self.res_scale)
            res += x
            return res

    class EDSR(n.Module):
        def __init__(self, feats=8):
            super().__init__()
            self.head = n.Conv2d(3, feats, 3, padding=1)
            self.body = n.Sequential(*[ResBlock(feats) for _ in range(2)], n.Conv2d(feats, feats, 3, padding=1))
            self.tail = n.Sequential(n.Conv2d(feats, 4 * feats, 3, padding=1), n.PixelShuffle(2), n.Conv2d(feats, 3, 3,
                                                                                                           padding=1))

        def forward(self, x):
            x = self.head(x)
            return self.tail(x + self.body(x))

    return EDSR()


@network((3, 8, 9))
def srgan(n, t):
    """Residual blocks with batch norm and PReLU, one slope or one for each channel (arXiv:1609.04802)."""

    class Block(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1, self.bn1, self.prelu = n.Conv2d(channels, channels, 3, padding=1), n.BatchNorm2d(channels), n.PReLU()
            self.conv2, self.bn2 = n.Conv2d(channels, channels, 3, padding=1), n.BatchNorm2d(channels)

        def forward(self, x):
            residual = self.prelu(self.bn1(self.conv1(x)))
            return x + self.bn2(self.conv2(residual))

    class Generator(n.Module):
        def __init__(self):
            super().__init__()
            self.block1 = n.Sequential(n.Conv2d(3, 8, kernel_size=9, padding=4), n.PReLU(8))
            self.block2, self.block3 = Block(8), Block(8)
            self.block4 = n.Sequential(n.Conv2d(8, 32, 3, padding=1), n.PixelShuffle(2), n.PReLU(), n.Conv2d(8, 3, 3, padding=1))

        def forward(self, x):
            block1 = self.block1(x)
            return (self.block4(block1 + self.block3(self.block2(block1))).tanh() + 1) / 2

    return Generator()


@network((3, 11, 10))
def style_transfer(n, t):
    """Instance norm, reflected borders, nearest upsampling (arXiv:1603.08155)."""

    class ConvLayer(n.Module):
        def __init__(self, inputs, outputs, kernel_size, stride, upsample=None):
            super().__init__()
            self.upsample = upsample
            self.reflection_pad, self.conv2d = n.ReflectionPad2d(kernel_size // 2), n.Conv2d(inputs, outputs, kernel_size, stride)

        def forward(self, x):
            if self.upsample:
                x = n.functional.interpolate(x, mode="nearest", scale_factor=self.upsample)
            return self.conv2d(self.reflection_pad(x))

    class Residual(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1, self.in1 = ConvLayer(channels, channels, 3, 1), n.InstanceNorm2d(channels, affine=True)
            self.conv2, self.in2 = ConvLayer(channels, channels, 3, 1), n.InstanceNorm2d(channels, affine=True)
            self.relu = n.ReLU()

        def forward(self, x):
            return self.in2(self.conv2(self.relu(self.in1(self.conv1(x))))) + x

    return n.Sequential(ConvLayer(3, 8, 5, 1), n.InstanceNorm2d(8, affine=True), n.ReLU(), ConvLayer(8, 8, 3, 2),
                        n.InstanceNorm2d(8),
                        Residual(8), ConvLayer(8, 8, 3, 1, upsample=2), n.ReLU(), ConvLayer(8, 3, 5, 1))


@network((3, 10, 9))
def self_attention(n, t):
    """Every pixel looks at every pixel (arXiv:1805.08318); the result counts by a learned number that begins small."""

    class SelfAttention(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.query, self.key = n.Conv2d(channels, channels // 4, 1), n.Conv2d(channels, channels // 4, 1)
            self.value, self.softmax = n.Conv2d(channels, channels, 1), n.Softmax(dim=-1)
            self.gamma = n.Parameter(self.value.bias.data[:1] * 0 + 0.3)

        def forward(self, x):
            b, c, w, h = x.size()
            query = self.query(x).view(b, -1, w * h).permute(0, 2, 1)
            key = self.key(x).view(b, -1, w * h)
            attention = self.softmax(t.bmm(query, key))
            value = self.value(x).view(b, -1, w * h)
            out = t.bmm(value, attention.permute(0, 2, 1)).view(b, c, w, h)
            return self.gamma * out + x, attention

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.attn, self.last = n.Conv2d(3, 8, 3), SelfAttention(8), n.Conv2d(8, 3, 1)

        def forward(self, x):
            x, attention = self.attn(self.conv(x).tanh())
            return self.last(x), attention

    return Net()


@network((3, 10, 12))
def non_local(n, t):
    """Embedded Gaussian with keys of a pooled map (arXiv:1711.07971)."""

    class NonLocal(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.inner = channels // 2
            self.g = n.Sequential(n.Conv2d(channels, self.inner, 1), n.MaxPool2d(2))
            self.theta = n.Conv2d(channels, self.inner, 1)
            self.phi = n.Sequential(n.Conv2d(channels, self.inner, 1), n.MaxPool2d(2))
            self.W = n.Sequential(n.Conv2d(self.inner, channels, 1), n.BatchNorm2d(channels))

        def forward(self, x):
            batch = x.size(0)
            g_x = self.g(x).view(batch, self.inner, -1).permute(0, 2, 1)
            theta_x = self.theta(x).view(batch, self.inner, -1).permute(0, 2, 1)
            phi_x = self.phi(x).view(batch, self.inner, -1)
            f = n.functional.softmax(t.matmul(theta_x, phi_x), dim=-1)
            y = t.matmul(f, g_x).permute(0, 2, 1).contiguous()
            return self.W(y.view(batch, self.inner, *x.size()[2:])) + x

    return n.Sequential(n.Conv2d(3, 8, 3, padding=1), n.ReLU(), NonLocal(8), n.Conv2d(8, 3, 3))


@network((4, 9, 8))
def gated_convolution(n, t):
    """Features times gates, by GLU and by two convolutions (arXiv:1806.03589)."""
    F = n.functional

    class Gated(n.Module):
        def __init__(self, inputs, outputs, stride=1):
            super().__init__()
            self.features, self.gates = n.Conv2d(inputs, outputs, 3, stride, 1), n.Conv2d(inputs, outputs, 3, stride, 1)

        def forward(self, x):
            return F.elu(self.features(x)) * self.gates(x).sigmoid()

    return n.Sequential(Gated(4, 8), n.Conv2d(8, 16, 3), n.GLU(dim=1), Gated(8, 8, 2), n.Conv2d(8, 3, 1))


@network((3, 13, 10))
def segnet(n, t):
    """Maxima put back where they came from (arXiv:1511.00561)."""

    class SegNet(n.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = n.Conv2d(3, 8, 3, padding=1), n.Conv2d(8, 8, 3, padding=1)
            self.conv3, self.conv4 = n.Conv2d(8, 8, 3, padding=1), n.Conv2d(8, 2, 3, padding=1)
            self.pool, self.unpool = n.MaxPool2d(2, stride=2, return_indices=True), n.MaxUnpool2d(2, stride=2)

        def forward(self, x):
            x1 = self.conv1(x).relu()
            x1p, id1 = self.pool(x1)
            x2 = self.conv2(x1p).relu()
            x2p, id2 = self.pool(x2)
            x2d = self.conv3(self.unpool(x2p, id2, output_size=x2.size())).relu()
            return self.conv4(self.unpool(x2d, id1, output_size=x1.size()))

    return SegNet()


@network((3, 16, 12))
def hourglass(n, t):
    """Down and up by recursion, twice, with a prediction after each (arXiv:1603.06937)."""
    F = n.functional

    class Hourglass(n.Module):
        def __init__(self, depth, channels):
            super().__init__()
            self.up1, self.low1 = n.Conv2d(channels, channels, 3, padding=1), n.Conv2d(channels, channels, 3, padding=1)
            self.low2 = Hourglass(depth - 1, channels) if depth > 1 else n.Conv2d(channels, channels, 3, padding=1)
            self.low3 = n.Conv2d(channels, channels, 3, padding=1)

        def forward(self, x):
            up1 = F.relu(self.up1(x))
            low = self.low3(self.low2(F.relu(self.low1(F.max_pool2d(x, 2)))))
            return up1 + F.interpolate(low, scale_factor=2)

    class Stacked(n.Module):
        def __init__(self):
            super().__init__()
            self.pre = n.Conv2d(3, 8, 3, padding=1)
            self.glasses = n.ModuleList(Hourglass(2, 8) for _ in range(2))
            self.heads, self.back = n.ModuleList(n.Conv2d(8, 4, 1) for _ in range(2)), n.Conv2d(4, 8, 1)

        def forward(self, x):
            x, predictions = self.pre(x), []
            for i, (glass, head) in enumerate(zip(self.glasses, self.heads)):
                y = glass(x)
                predictions.append(head(y))
                if i < len(self.glasses) - 1:
                    x = x + y + self.back(predictions[-1])
            return t.stack(predictions, 1)

    return Stacked()


@network((3, 12, 16))
def hrnet(n, t):
    """Two resolutions side by side that exchange sums (arXiv:1908.07919); None stands for the way that is none."""
    F = n.functional

    class Fuse(n.Module):
        def __init__(self, widths):
            super().__init__()
            layers = []
            for i in range(len(widths)):
                row = []
                for j in range(len(widths)):
                    if j > i:
                        row.append(n.Sequential(n.Conv2d(widths[j], widths[i], 1, bias=False), n.BatchNorm2d(widths[i]),
                                                n.Upsample(scale_factor=2 ** (j - i), mode="nearest")))
                    elif j == i:
                        row.append(None)
                    else:
                        row.append(n.Sequential(n.Conv2d(widths[j], widths[i], 3, 2, 1, bias=False), n.BatchNorm2d(widths[i])))
                layers.append(n.ModuleList(row))
            self.fuse_layers = n.ModuleList(layers)

        def forward(self, x):
            out = []
            for i, row in enumerate(self.fuse_layers):
                y = x[0] if i == 0 else row[0](x[0])
                for j in range(1, len(x)):
                    y = y + x[j] if i == j else y + row[j](x[j])
                out.append(F.relu(y))
            return out

    class HRNet(n.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.fuse = n.Conv2d(3, 8, 3, 1, 1), n.Conv2d(3, 16, 3, 2, 1), Fuse([8, 16])
            self.last = n.Conv2d(24, 4, 1)

        def forward(self, x):
            high, low = self.fuse([self.a(x), self.b(x)])
            return self.last(t.cat([high, F.interpolate(low, size=high.shape[2:], mode="bilinear", align_corners=True)], 1))

    return HRNet()


@network((2, 9, 8), other=(2, 7, 11))
def coord_conv(n, t):
    """Two more channels that say where a pixel is (arXiv:1807.03247), and bicubic resizing."""
    class CoordConv(n.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.conv = n.Conv2d(inputs + 2, outputs, 3, padding=1)

        def forward(self, x):
            _, _, h, w = x.shape
            places = np.stack(np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij"))
            return self.conv(t.cat([x, x[:, :1] * 0 + array(t, places.astype(np.float32))], 1))

    return n.Sequential(CoordConv(2, 8), n.ReLU(), n.Upsample(scale_factor=1.5, mode="bicubic"), CoordConv(8, 3))


@network((1, 9, 8))
def pixel_cnn(n, t):
    """Masked filters: a pixel sees only those before it (arXiv:1601.06759)."""
    F = n.functional

    class MaskedConv2d(n.Conv2d):
        def __init__(self, kind, *args, **kwargs):
            super().__init__(*args, **kwargs)
            mask = np.ones(tuple(self.weight.shape), np.float32)
            rows, columns = mask.shape[2:]
            mask[:, :, rows // 2, columns // 2 + (kind == "B"):] = 0
            mask[:, :, rows // 2 + 1:] = 0
            self.register_buffer("mask", array(t, mask))

        def forward(self, x):
            return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)

    return n.Sequential(MaskedConv2d("A", 1, 8, 7, padding=3), n.ReLU(), MaskedConv2d("B", 8, 8, 3, padding=1), n.ReLU(),
                        n.Conv2d(8, 4, 1), n.LogSoftmax(dim=1))


@network((3, 9, 12))
def bifpn(n, t):
    """Sums of levels with learned weights that are positive and add up to one (arXiv:1911.09070)."""
    F = n.functional

    class Fusion(n.Module):
        def __init__(self, count):
            super().__init__()
            self.w, self.eps = n.Parameter(n.BatchNorm1d(count).weight.data), 1e-4

        def forward(self, *levels):
            w = F.relu(self.w)
            w = w / (w.sum(dim=0) + self.eps)
            total = w[0] * levels[0]
            for i in range(1, len(levels)):
                total = total + w[i] * levels[i]
            return total * total.sigmoid()

    class BiFPN(n.Module):
        def __init__(self):
            super().__init__()
            self.p1, self.p2 = n.Conv2d(3, 8, 3, padding=1), n.Conv2d(3, 8, 3, stride=2, padding=1)
            self.down, self.up, self.three = Fusion(2), Fusion(2), Fusion(3)

        def forward(self, x):
            p1, p2 = self.p1(x), self.p2(x)
            q1 = self.down(p1, F.interpolate(p2, size=p1.shape[2:]))
            q2 = self.up(p2, F.adaptive_max_pool2d(q1, p2.shape[2:]))
            return q1, self.three(p2, q2, F.adaptive_avg_pool2d(p1, p2.shape[-2:]))

    return BiFPN()


@network((6, 8, 9))
def tied_autoencoder(n, t):
    """The decoder's transposed convolution has the encoder's weight."""
    F = n.functional

    class Tied(n.Module):
        def __init__(self):
            super().__init__()
            self.weight = n.Parameter(n.Conv2d(6, 8, 3).weight.data)
            self.encode_bias, self.decode_bias = n.Parameter(n.Linear(1, 8).bias.data), n.Parameter(n.Linear(1, 6).bias.data)

        def forward(self, x):
            code = F.relu(F.conv2d(x, self.weight, self.encode_bias, stride=2, padding=1))
            size = [x.shape[2] - (2 * code.shape[2] - 1), x.shape[3] - (2 * code.shape[3] - 1)]
            return F.conv_transpose2d(code, self.weight, self.decode_bias, stride=2, padding=1, output_padding=size)

    return Tied()


NETWORKS = [item for item in list(globals().values()) if type(item).__name__ == "Network"]
