"""Networks along a line and in space: sound, text, heart beats, videos, volumes."""

from tests.peer.network import network

CLASSES = 5


@network((1, 30), other=(1, 23))
def wavenet(n, t):
    """Dilated causal convolutions with gates, residuals and skips (arXiv:1609.03499)."""
    F = n.functional

    class Causal(n.Module):
        def __init__(self, inputs, outputs, size, dilation=1):
            super().__init__()
            self.left, self.conv = (size - 1) * dilation, n.Conv1d(inputs, outputs, size, dilation=dilation)

        def forward(self, x):
            return self.conv(F.pad(x, (self.left, 0)))

    class Block(n.Module):
        def __init__(self, channels, dilation):
            super().__init__()
            self.filter, self.gate = Causal(channels, channels, 2, dilation), Causal(channels, channels, 2, dilation)
            self.residual, self.skip = n.Conv1d(channels, channels, 1), n.Conv1d(channels, channels, 1)

        def forward(self, x):
            z = self.filter(x).tanh() * self.gate(x).sigmoid()
            return x + self.residual(z), self.skip(z)

    class WaveNet(n.Module):
        def __init__(self):
            super().__init__()
            self.start, self.blocks = Causal(1, 8, 2), n.ModuleList([Block(8, 2 ** i) for i in range(4)])
            self.end = n.Sequential(n.ReLU(), n.Conv1d(8, 8, 1), n.ReLU(), n.Conv1d(8, 6, 1))

        def forward(self, x):
            x, skips = self.start(x), 0
            for block in self.blocks:
                x, skip = block(x)
                skips = skips + skip
            return self.end(skips)

    return WaveNet()


@network((3, 20))
def tcn(n, t):
    """Padded on both sides and chomped on the right (arXiv:1803.01271); the last time step is classified."""

    class Chomp1d(n.Module):
        def __init__(self, chomp_size):
            super().__init__()
            self.chomp_size = chomp_size

        def forward(self, x):
            return x[:, :, :-self.chomp_size].contiguous()

    class TemporalBlock(n.Module):
        def __init__(self, inputs, outputs, kernel_size, dilation, dropout=0.2):
            super().__init__()
            padding = (kernel_size - 1) * dilation
            self.net = n.Sequential(
                n.Conv1d(inputs, outputs, kernel_size, padding=padding, dilation=dilation), Chomp1d(padding), n.ReLU(),
                n.Dropout(dropout), n.Conv1d(outputs, outputs, kernel_size, padding=padding, dilation=dilation), Chomp1d(padding),
                n.ReLU(), n.Dropout(dropout))
            self.downsample = n.Conv1d(inputs, outputs, 1) if inputs != outputs else None
            self.relu = n.ReLU()

        def forward(self, x):
            out = self.net(x)
            res = x if self.downsample is None else self.downsample(x)
            return self.relu(out + res)

    class TCN(n.Module):
        def __init__(self):
            super().__init__()
            layers, channels = [], [3, 8, 8]
            for i in range(2):
                layers += [TemporalBlock(channels[i], channels[i + 1], 3, 2 ** i)]
            self.network, self.linear = n.Sequential(*layers), n.Linear(8, CLASSES)

        def forward(self, x):
            return self.linear(self.network(x)[:, :, -1])

    return TCN()


@network((14,), words=20)
def text_cnn(n, t):
    """Windows of several widths over embedded words, the largest answer of each (arXiv:1408.5882)."""
    F = n.functional

    class TextCNN(n.Module):
        def __init__(self):
            super().__init__()
            self.embed = n.Embedding(20, 6, padding_idx=0)
            self.convs = n.ModuleList([n.Conv2d(1, 8, (k, 6)) for k in (2, 3, 4)])
            self.dropout, self.fc1 = n.Dropout(0.5), n.Linear(24, CLASSES)

        def forward(self, x):
            x = self.embed(x).unsqueeze(1)
            x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
            x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
            return self.fc1(self.dropout(t.cat(x, 1)))

    return TextCNN()


@network((24,), words=30)
def vdcnn(n, t):
    """Many thin layers over characters, pooled to the k largest places of a window (arXiv:1606.01781)."""

    class Block(n.Module):
        def __init__(self, inputs, outputs, pool):
            super().__init__()
            self.conv1, self.bn1 = n.Conv1d(inputs, outputs, 3, padding=1), n.BatchNorm1d(outputs)
            self.conv2, self.bn2 = n.Conv1d(outputs, outputs, 3, padding=1), n.BatchNorm1d(outputs)
            self.pool = n.MaxPool1d(3, stride=2, padding=1) if pool else n.Identity()

        def forward(self, x):
            x = self.bn1(self.conv1(x)).relu()
            return self.pool(self.bn2(self.conv2(x)).relu())

    class VDCNN(n.Module):
        def __init__(self):
            super().__init__()
            self.table, self.first = n.Embedding(30, 8), n.Conv1d(8, 8, 3, padding=1)
            self.blocks, self.fc = n.Sequential(Block(8, 8, True), Block(8, 16, False)), n.Linear(16 * 3, CLASSES)

        def forward(self, x):
            x = self.blocks(self.first(self.table(x).transpose(1, 2)))
            return self.fc(n.functional.adaptive_max_pool1d(x, 3).view(x.shape[0], -1))

    return VDCNN()


@network((20,), (20,), words=12)
def char_cnn(n, t):
    """Two texts through one tower of one-hot characters (arXiv:1509.01626): sums, differences and products compared."""
    F = n.functional

    class CharCNN(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = n.Conv1d(12, 8, 5), n.Linear(24, 2)

        def tower(self, x):
            x = F.one_hot(x, 12).to(self.fc.weight.dtype).permute(0, 2, 1)
            return F.max_pool1d(F.leaky_relu(self.conv(x)), 3).mean(2)

        def forward(self, a, b):
            a, b = self.tower(a), self.tower(b)
            return self.fc(t.cat([(a - b).abs(), a * b, a + b], dim=-1))

    return CharCNN()


@network((2, 37), other=(2, 30))
def ecg_resnet(n, t):
    """A residual network of one axis: wide windows, dropout, a pooled shortcut."""

    class Block(n.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1, self.bn1 = n.Conv1d(inputs, outputs, 9, stride=stride, padding=4, bias=False), n.BatchNorm1d(outputs)
            self.conv2, self.bn2 = n.Conv1d(outputs, outputs, 9, padding=4, bias=False), n.BatchNorm1d(outputs)
            self.relu, self.dropout = n.ReLU(inplace=True), n.Dropout(0.2)
            self.short = n.Sequential(n.AvgPool1d(stride, ceil_mode=True), n.Conv1d(inputs, outputs, 1)) if stride > 1 else None

        def forward(self, x):
            y = self.bn2(self.conv2(self.dropout(self.relu(self.bn1(self.conv1(x))))))
            y += x if self.short is None else self.short(x)
            return self.relu(y)

    return n.Sequential(n.Conv1d(2, 8, 15, 2, 7), n.MaxPool1d(3, 2, 1), Block(8, 8, 1), Block(8, 16, 2), n.AdaptiveAvgPool1d(1),
                        n.Flatten(), n.Linear(16, CLASSES))


@network((2, 6, 9, 8))
def c3d(n, t):
    """3x3x3 windows over videos (arXiv:1412.0767)."""

    return n.Sequential(n.Conv3d(2, 8, kernel_size=(3, 3, 3), padding=(1, 1, 1)), n.ReLU(), n.MaxPool3d((1, 2, 2), (1, 2, 2)),
                        n.Conv3d(8, 8, 3, padding=1), n.ReLU(), n.MaxPool3d(2, stride=2, padding=(0, 0, 1)), n.Flatten(),
                        n.Linear(8 * 3 * 2 * 3, CLASSES))


@network((2, 5, 8, 9))
def r2plus1d(n, t):
    """A window in the image, then one in time (arXiv:1711.11248)."""

    class Conv2Plus1D(n.Sequential):
        def __init__(self, inputs, outputs, middle, stride=1):
            super().__init__(
                n.Conv3d(inputs, middle, kernel_size=(1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False),
                n.BatchNorm3d(middle), n.ReLU(inplace=True),
                n.Conv3d(middle, outputs, kernel_size=(3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False))

    class Block(n.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = n.Sequential(Conv2Plus1D(inputs, outputs, 6, stride), n.BatchNorm3d(outputs), n.ReLU(inplace=True))
            self.downsample = n.Sequential(n.Conv3d(inputs, outputs, 1, (stride, stride, stride), bias=False),
                                           n.BatchNorm3d(outputs))

        def forward(self, x):
            return (self.conv1(x) + self.downsample(x)).relu()

    return n.Sequential(Block(2, 8, 1), Block(8, 8, 2), n.AdaptiveAvgPool3d((1, 1, 1)), n.Flatten(), n.Linear(8, CLASSES))


@network((1, 6, 7, 8))
def unet3d(n, t):
    """Volumes down and up (arXiv:1606.06650): transposed convolution, trilinear upsampling, group norm."""

    class UNet3D(n.Module):
        def __init__(self):
            super().__init__()
            self.down = n.Sequential(n.Conv3d(1, 8, 3, padding=1), n.GroupNorm(2, 8), n.ReLU())
            self.deep = n.Conv3d(8, 8, 3, padding=1)
            self.pool, self.up = n.MaxPool3d(2), n.ConvTranspose3d(8, 8, 2, stride=2, output_padding=(0, 1, 0))
            self.last = n.Conv3d(24, 2, 1)

        def forward(self, x):
            skip = self.down(x)
            y = self.deep(self.pool(skip)).relu()
            wide = n.functional.interpolate(y, size=tuple(skip.shape[2:]), mode="trilinear", align_corners=False)
            return self.last(t.cat((self.up(y), skip, wide), 1))

    return UNet3D()


@network((1, 12, 33), other=(1, 12, 40))
def ocr_columns(n, t):
    """Columns of an image of text as a sequence of letters: pooled over the height, log probabilities, time first."""

    class Columns(n.Module):
        def __init__(self):
            super().__init__()
            self.cnn = n.Sequential(n.Conv2d(1, 8, 3, 1, 1), n.ReLU(True), n.MaxPool2d(2, 2), n.Conv2d(8, 8, 3, 1, 1),
                                    n.ReLU(True),
                                    n.MaxPool2d((2, 2), (2, 1), (0, 1)), n.Conv2d(8, 8, (3, 2), 1, 0), n.BatchNorm2d(8))
            self.rnn_like, self.fc = n.Conv1d(8, 8, 5, padding=2, padding_mode="circular"), n.Linear(8, 7)

        def forward(self, x):
            conv = self.cnn(x)
            b, c, h, w = conv.size()
            conv = self.rnn_like(conv.view(b, c * h, w).tanh())
            return self.fc(conv.permute(2, 0, 1)).log_softmax(2)

    return Columns()


@network((2, 40))
def sinc_like(n, t):
    """Filters computed from a few learned numbers (arXiv:1808.00158), and a layer norm of the frames."""
    import numpy as np
    from tests.peer.network import array

    class Filters(n.Module):
        def __init__(self, count, size):
            super().__init__()
            self.rate = n.Parameter(n.Linear(1, count).weight.data)
            self.register_buffer("times", array(t, np.linspace(-2, 2, size, dtype=np.float32)), persistent=False)

        def forward(self, x):
            waves = (self.rate * self.times).sin() * (-self.times ** 2).exp()
            return n.functional.conv1d(x, waves.unsqueeze(1).repeat(1, x.shape[1], 1), stride=2)

    return n.Sequential(Filters(8, 9), n.LayerNorm([8, 16]), n.Hardtanh(), n.Flatten(), n.Linear(128, CLASSES))


@network((4, 8, 15))
def graph_of_joints(n, t):
    """A learned matrix between joints, by einsum, and windows in time (arXiv:1801.07455)."""

    class Graph(n.Module):
        def __init__(self, inputs, outputs, joints):
            super().__init__()
            self.conv = n.Conv2d(inputs, outputs * 2, 1)
            self.matrix = n.Parameter(n.Conv1d(2, joints, joints).weight.data.reshape(2, joints, joints))

        def forward(self, x):
            x = self.conv(x)
            b, kc, time, joints = x.size()
            return t.einsum("nkctv,kvw->nctw", x.view(b, 2, kc // 2, time, joints), self.matrix)

    return n.Sequential(Graph(4, 8, 15), n.BatchNorm2d(8), n.ReLU(), n.Conv2d(8, 8, (5, 1), padding=(2, 0)),
                        n.AdaptiveAvgPool2d(1),
                        n.Flatten(), n.Linear(8, CLASSES))


NETWORKS = [item for item in list(globals().values()) if type(item).__name__ == "Network"]
