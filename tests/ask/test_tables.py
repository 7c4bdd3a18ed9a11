"""Every answer is a table and plain data: dict, JSON, CSV."""

import csv
import io
import json

import pytest

import striate as st
from striate import nn, optim
from striate.errors import ArgumentError

NET = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Flatten(),
                    nn.Linear(144, 3))
ANSWERS = {
    "summary": (lambda: st.summary(NET, (2, 6, 6), show=False), "0,conv2d,4x3x3,76,648,1296,"),
    "receptive_field": (lambda: st.receptive_field(NET, (2, 6, 6)), "2,resample,3x3,0.5x0.5,0.0x0.0,1x1,True,False,1.0x1.0"),
    "cost": (lambda: st.cost(NET, (2, 6, 6), batch=2, optimizer=optim.Adam()), "0,conv2d,forward,1296,1296,2592,"),
    "memory": (lambda: st.memory(NET, (2, 6, 6), batch=2), "Sequential,2,False,"),
    "roofline": (lambda: st.roofline(NET, (2, 6, 6), batch=2, runs=0), "0,conv2d,1296,"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_plain_data(name):
    answer, line = ANSWERS[name]
    found = answer()
    told = json.loads(found.to_json())
    assert told["network"] == "Sequential" and told.keys() == found.to_dict().keys()
    text = found.to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert any(row.startswith(line) for row in text.splitlines()), text
    assert all(None not in row and None not in row.values() for row in rows) and len(rows) == text.count("\n") - 1
    assert found._repr_html_().startswith("<table>") and found.text().count("\n") > 3


@pytest.mark.parametrize("ask", [st.summary, st.explain, st.receptive_field, st.cost, st.memory])
def test_an_image_without_channels_is_not_a_batch(ask):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3))
    with pytest.raises(ArgumentError) as error:
        ask(net, (8, 8))
    assert str(error.value) == ("one item has shape (8, 8), of which layer '0' (Conv2d) makes (1, 1, 8, 8); give channels too, "
                                "such as (3, 224, 224)")
    ask(nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 3, 3)), (8,))  # who makes channels has some


@pytest.mark.parametrize("ask", [st.summary, st.explain, st.receptive_field, st.cost, st.memory, st.roofline,
                                 st.effective_receptive_field])
def test_questions_are_about_networks(ask):
    for net, text in ((3, "got int; give a striate.nn.Module or a torch.nn.Module"),
                      (nn.ReLU, "got <class 'striate.nn.activation.ReLU'>; make one: ReLU(...)")):
        with pytest.raises(ArgumentError) as error:
            ask(net, (3, 8, 8))
        assert str(error.value) == f"questions are about networks, {text}"
