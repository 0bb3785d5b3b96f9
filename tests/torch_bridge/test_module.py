"""An operator as a module: copied, pickled, in containers, in train and eval."""

import copy
import io
import pickle

import pytest
import torch

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World
from distdl_ops.testing import on_ranks
from linop import LinearOperator, Matrix, arrays
from torch_bridge import Operator, as_function


def exchange(world: World) -> HaloExchange:
    S = DistributedSpace(Grid(world, rows=world.size), (8,), rows=Split(0))
    return HaloExchange(S, {0: (1, 1)})


def test_module(ranks: int) -> None:
    """It is the function as a module, without parameters and state, in train and in eval."""

    def main(world: World) -> None:
        A = exchange(world)
        module = Operator(A)
        assert not list(module.parameters())
        assert not module.state_dict()
        assert repr(module) == f"Operator({A!r})"
        x = torch.ones(A.domain.shape)
        assert torch.equal(module(x), as_function(A)(x))
        assert torch.equal(module.eval()(x), module.train()(x))

    on_ranks(ranks, main)


def test_deep_copies(ranks: int) -> None:
    """A copy shares the operator, so that no communicator is made; hooks are its own."""

    def main(world: World) -> None:
        A = exchange(world)
        model = torch.nn.Sequential(Operator(A), torch.nn.Tanh())
        model[0].register_forward_hook(lambda *found: 2 * found[-1])
        twin = copy.deepcopy(model)
        assert twin[0] is not model[0]
        assert twin[0].operator is A
        x = torch.ones(A.domain.shape)
        assert torch.equal(twin(x), model(x))
        model[0]._forward_hooks.clear()
        assert torch.equal(twin(x), torch.tanh(2 * A(x)))

    on_ranks(ranks, main)


@pytest.mark.serial
def test_pickling(operator: LinearOperator) -> None:
    """An operator of one process can be pickled and saved, with its module and its function."""
    x = arrays.each(torch.from_numpy, operator.domain.integers(0))
    expected = arrays.leaves(operator(x))
    for thing in (Operator(operator), as_function(operator)):
        twin = pickle.loads(pickle.dumps(thing))
        assert all(map(torch.equal, arrays.leaves(twin(x)), expected))
    file = io.BytesIO()
    torch.save(Operator(operator), file)
    file.seek(0)
    assert all(map(torch.equal, arrays.leaves(torch.load(file, weights_only=False)(x)), expected))


def test_what_cannot_be_pickled(ranks: int) -> None:
    """The ranks of a world are no data: pickling what holds them raises."""

    def main(world: World) -> None:
        if world.size > 1:
            with pytest.raises((TypeError, AttributeError, pickle.PicklingError, ValueError)):
                pickle.dumps(Operator(exchange(world)))

    on_ranks(ranks, main)


@pytest.mark.serial
def test_chains_of_modules() -> None:
    """What a module returns, a tuple or not, the next one takes."""
    from linop import HStack, VStack

    A, B = Matrix([[1.0, 2.0]]), Matrix([[3.0, 4.0]])
    model = torch.nn.Sequential(Operator(VStack(A, B)), Operator(HStack(A.H, B.H)))
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    model(x).sum().backward()
    assert torch.equal(x.grad, (A.H @ A + B.H @ B)(torch.ones(2, dtype=torch.float64)))
