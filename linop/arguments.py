"""What a function is given is what its annotations say, or an error names the argument.

`checked` compares the arguments of a call with the annotations of the function. An annotation is read once, at the
first call: a class, a union, ``Literal``, ``Callable``, sequences and mappings of such, and the library's own names
below. A number is never NaN and never a bool, where the annotation does not say so. What an annotation cannot say
(that an axis is one of a space's) is checked where it is used.
"""

from __future__ import annotations

import ast
import collections.abc
import functools
import inspect
import math
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Complex, Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, TypeVar, Union, get_args, get_origin

import numpy as np

from linop import arrays
from linop.errors import ArgumentError, ArgumentTypeError

F = TypeVar("F", bound=Callable[..., Any])


class Bounds(NamedTuple):
    """From where to where a number may lie.

    Attributes
    ----------
    least, most : float
        The ends, which are allowed.
    words : str
        Which numbers these are.
    """

    least: float
    most: float
    words: str


LARGEST = sys.float_info.max

Whole = Annotated[int, Bounds(0, math.inf, "a whole number, zero or more")]
Positive = Annotated[int, Bounds(1, math.inf, "a whole number, one or more")]
Finite = Annotated[float, Bounds(-LARGEST, LARGEST, "a finite number")]
Nonnegative = Annotated[float, Bounds(0, LARGEST, "a finite number, zero or more")]


class _Expected(NamedTuple):
    """What an annotation says: whether a value has the type, whether it has a value that is allowed, both in words."""

    words: str
    fits: Callable[[Any], bool]
    allows: Callable[[Any], bool] = lambda value: True  # noqa: ARG005  (every value is)


class _Parameter(NamedTuple):
    """A parameter of a function."""

    name: str
    expected: _Expected | None
    many: bool = False


def checked(function: F) -> F:
    """Return the function, which raises where an argument is not what its annotation says.

    On processes that share an argument, all of them raise.

    Parameters
    ----------
    function : callable or dataclass
        With annotations.

    Raises
    ------
    ArgumentTypeError
        By the function: where an argument has another type.
    ArgumentError
        By the function: where it has the type, and a value that is not allowed.

    Examples
    --------
    >>> @checked
    ... def repeat(text: str, times: Positive = 2) -> str:
    ...     return times * text
    >>> repeat("ab")
    'abab'
    >>> repeat("ab", "cd")
    Traceback (most recent call last):
    linop.errors.ArgumentTypeError: repeat: expected times to be a whole number, one or more, found 'cd'
    >>> repeat("ab", 0)
    Traceback (most recent call last):
    linop.errors.ArgumentError: repeat: expected times to be a whole number, one or more, found 0
    """
    if isinstance(function, type):  # of a dataclass, whose constructor is written by Python
        function.__init__ = checked(function.__init__)  # type: ignore[misc]
        return function
    plan: list[tuple[_Parameter, ...]] = []

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if not plan:
            plan.extend(_read(function))
        positional, named = plan
        if not args and positional and positional[0].name in options:  # functools.singledispatch wants it by position
            args = (options.pop(positional[0].name),)
        for parameter, value in _given(positional, named, args, options):
            expected = parameter.expected
            if expected is not None and not (expected.fits(value) and expected.allows(value)):
                _refuse(function, parameter.name, expected, value, (*args, *options.values()))
        return function(*args, **options)

    return call  # type: ignore[return-value]


def renamed(**names: str) -> Callable[[F], F]:
    """Return a decorator of a function whose keywords have new names: an old one is an error that says the new one.

    For one release after a change of names.

    Parameters
    ----------
    **names : str
        The new name of each old one.

    Examples
    --------
    >>> @renamed(mode="boundary")
    ... def pad(*, boundary: str = "zero") -> str:
    ...     return boundary
    >>> pad(boundary="edge")
    'edge'
    >>> pad(mode="edge")
    Traceback (most recent call last):
    linop.errors.ArgumentTypeError: pad: the argument mode is called boundary now; write boundary='edge'
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            for old in names.keys() & options.keys():
                made = function.__name__ == "__init__"  # the first argument is the object, which is nothing yet
                caller = type(args[0]).__name__ if made else function.__name__
                error = (
                    f"{caller}: the argument {old} is called {names[old]} now; write {names[old]}={show(options[old])}"
                )
                refuse(ArgumentTypeError(error), *args[made:], *options.values())
            return function(*args, **options)

        return call  # type: ignore[return-value]

    return decorate


def _given(
    positional: tuple[_Parameter, ...],
    named: tuple[_Parameter, ...],
    args: tuple[Any, ...],
    options: Mapping[str, Any],
) -> Iterator[tuple[_Parameter, Any]]:
    """Yield parameters and their arguments; Python itself complains where there are too many or too few."""
    for k, value in enumerate(args):
        if k < len(positional):
            yield positional[k], value
        elif positional and positional[-1].many:
            yield positional[-1], value
    for name, value in options.items():
        for parameter in named:
            if parameter.name == name:
                yield parameter, value
                break
            if parameter.many:
                yield parameter._replace(name=name), value


def _read(function: Callable[..., Any]) -> tuple[tuple[_Parameter, ...], tuple[_Parameter, ...]]:
    """Return the parameters that are given by position, and those that are given by name."""
    names = vars(sys.modules[function.__module__])
    positional, named = [], []
    for parameter in inspect.signature(function).parameters.values():
        given = parameter.annotation
        expected = None if given is parameter.empty else _expected(given, names)
        many = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        found = _Parameter(parameter.name, expected, many)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL):
            positional.append(found)
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_KEYWORD):
            named.append(found)
    return tuple(positional), tuple(named)


def show(value: object) -> str:
    """Return a value in a few words, for an error."""
    if arrays.is_array(value):
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"  # type: ignore[attr-defined]
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return reprlib.repr(value) if isinstance(value, str | bytes | int | float | Sequence | Mapping) else repr(value)


def _refuse(
    function: Callable[..., Any], name: str, expected: _Expected, value: object, arguments: Sequence[object]
) -> NoReturn:
    """Raise the error of an argument, on all processes that share one of the arguments."""
    caller = function.__name__
    if caller in ("__init__", "__new__"):  # the object itself is not made yet
        kind_made = arguments[0] if isinstance(arguments[0], type) else type(arguments[0])
        caller, arguments = kind_made.__name__, arguments[1:]
    kind = ArgumentError if expected.fits(value) else ArgumentTypeError
    hint = _hint(expected, value)
    refuse(kind(f"{caller}: expected {name} to be {expected.words}, found {show(value)}{hint}"), *arguments)


def refuse(error: Exception, *arguments: object) -> NoReturn:
    """Raise an error; where an argument is spread over processes, let all of them raise."""
    for argument in arguments:
        share = None if isinstance(argument, type) else getattr(argument, "_refuse", None)
        if share is not None:
            share(error)
    raise error


def _hint(expected: _Expected, value: object) -> str:
    """Return what to write instead, where that is known."""
    if isinstance(value, type) and value.__name__ in expected.words:
        return f"; write {value.__name__}(...)"
    if "LinearOperator" in expected.words:
        return foreign_hint(value)
    if "a Space" in expected.words and isinstance(value, int | tuple) and not isinstance(value, bool):
        return f"; write Euclidean({value!r})"
    return ""


def foreign_hint(value: object) -> str:
    """Return how an operator of another library, or a matrix, becomes one of ours; nothing of anything else."""
    libraries = {kind.__module__.partition(".")[0] for kind in type(value).__mro__}
    if "pylops" in libraries:
        return "; write from_pylops(...) of it"
    if "scipy" in libraries:
        return "; write from_scipy(...) of it"
    if arrays.is_array(value) and getattr(value, "ndim", 0) == 2:
        return "; write Matrix(...) of it"
    return ""


# -- what annotations say ----------------------------------------------------------------------------------------------


def _expected(annotation: Any, names: Mapping[str, Any]) -> _Expected | None:
    """Return what an annotation says; None where it allows everything."""
    if not isinstance(annotation, str):
        return _of(annotation)
    alternatives, rest = [], [ast.parse(annotation, mode="eval").body]
    while rest:
        node = rest.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            rest += [node.right, node.left]
            continue
        text = ast.unparse(node)
        alternatives.append(_NAMED[text] if text in _NAMED else _of(eval(text, dict(names))))
    return _any(alternatives)


def _any(alternatives: Sequence[_Expected | None]) -> _Expected | None:
    """Return what several alternatives say together."""
    found = [one for one in alternatives if one is not None]
    if len(found) < len(alternatives):
        return None
    if len(found) == 1:
        return found[0]
    return _Expected(
        ", or ".join(one.words for one in found),
        lambda value: any(one.fits(value) for one in found),
        lambda value: any(one.fits(value) and one.allows(value) for one in found),
    )


def _of(hint: Any) -> _Expected | None:
    """Return what a type says."""
    origin, inside = get_origin(hint), get_args(hint)
    if isinstance(hint, TypeVar):
        return _of(hint.__bound__ or Any)
    if origin is Annotated:
        base, bounds = _of(inside[0]), next(each for each in inside[1:] if isinstance(each, Bounds))
        assert base is not None
        return _Expected(bounds.words, base.fits, lambda value: bounds.least <= value <= bounds.most)
    if origin in (Union, UnionType):
        return _any([_of(each) for each in inside])
    if origin is Literal:
        words = " or ".join(map(repr, inside))
        kinds = tuple({type(each) for each in inside})
        return _Expected(words, lambda value: isinstance(value, kinds), lambda value: value in inside)
    if hint in _TYPES:
        return _TYPES[hint]
    if origin is type:
        wanted = inside[0]
        return _Expected(
            f"a class of {wanted.__name__}", lambda value: isinstance(value, type) and issubclass(value, wanted)
        )
    if origin is not None and isinstance(origin, type):
        return _container(origin, inside)
    if not isinstance(hint, type) or getattr(hint, "_is_protocol", False) or hint is object:
        return None
    article = "an" if hint.__name__[0] in "AEIOU" else "a"
    return _Expected(f"{article} {hint.__name__}", lambda value: isinstance(value, hint))


def _container(origin: type, inside: tuple[Any, ...]) -> _Expected:
    """Return what a generic class says: of sequences and mappings, about what is in them, too."""
    if origin is tuple and inside[-1:] == (...,):
        inside = inside[:-1]
    elif origin is tuple:
        words = f"a tuple of {len(inside)}"
        parts = [_of(each) for each in inside]
        return _Expected(
            words,
            lambda value: (
                isinstance(value, tuple)
                and len(value) == len(parts)
                and all(part is None or part.fits(each) for part, each in zip(parts, value, strict=True))
            ),
        )
    if issubclass(origin, Mapping):
        keys, values = (_of(each) for each in inside)
        return _Expected(
            f"a mapping of {_words(keys)} to {_words(values)}",
            lambda found: (
                isinstance(found, Mapping) and _all(keys, "fits", found) and _all(values, "fits", found.values())
            ),
            lambda found: _all(keys, "allows", found) and _all(values, "allows", found.values()),
        )
    if issubclass(origin, Sequence):
        each = _of(inside[0])
        return _Expected(
            f"a sequence, each {_words(each)}",
            lambda found: _is_sequence(found) and _all(each, "fits", found),
            lambda found: _all(each, "allows", found),
        )
    if issubclass(origin, collections.abc.Callable):  # type: ignore[arg-type]
        return _Expected("a function", lambda value: callable(value) and not isinstance(value, type))
    return _Expected(f"a {origin.__name__}", lambda value: isinstance(value, origin))


def _is_sequence(value: object) -> bool:
    """Say whether something is a sequence: an array of one axis, too, but no text."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _all(expected: _Expected | None, test: str, values: Any) -> bool:
    return expected is None or all(getattr(expected, test)(value) for value in values)


def _words(expected: _Expected | None) -> str:
    return "anything" if expected is None else expected.words


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_)


def _is_array_like(value: object) -> bool:
    """Say whether NumPy makes an array of numbers of a value."""
    if arrays.is_array(value):
        return arrays.kind(value) != "other" or "bool" in str(value.dtype)  # type: ignore[attr-defined]
    if value is None or isinstance(value, str | bytes | set | dict | type) or callable(value):
        return False
    try:
        return np.asarray(value).dtype.kind in "biufc"
    except (TypeError, ValueError, RuntimeError):
        return False


def _is_dtype(value: object) -> bool:
    """Say whether NumPy makes a dtype of a value; None is no dtype here."""
    try:
        return value is not None and np.dtype(value) is not None  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return False


def _is_vector(value: object) -> bool:
    """Say whether something is an array, or a tuple of vectors."""
    return all(map(_is_vector, value)) and bool(value) if type(value) is tuple else arrays.is_array(value)


def _is_seed(value: object) -> bool:
    return all(_is_number(each, Integral) for each in (value if type(value) is tuple else (value,)))


_TYPES: dict[Any, _Expected | None] = {
    Any: None,
    int: _Expected("a whole number", lambda value: _is_number(value, Integral)),
    float: _Expected("a number", lambda value: _is_number(value, Real), lambda value: not math.isnan(value)),
    complex: _Expected("a number", lambda value: _is_number(value, Complex), lambda value: value == value),
    bool: _Expected("True or False", lambda value: isinstance(value, bool | np.bool_)),
    str: _Expected("a text", lambda value: isinstance(value, str)),
    NoneType: _Expected("None", lambda value: value is None),
    None: _Expected("None", lambda value: value is None),
}
"""What Python's own types say."""

_NAMED: dict[str, _Expected] = {
    "npt.ArrayLike": _Expected("an array of numbers", _is_array_like),
    "npt.DTypeLike": _Expected("a dtype", _is_dtype),
    "Array": _Expected("an array", arrays.is_array),
    "Vector": _Expected("an array, or a tuple of arrays for a product of spaces", _is_vector),
    "Scalar": _Expected("a number", lambda value: isinstance(value, Complex), lambda value: value == value),
    "Seed": _Expected(
        "a whole number, zero or more, or a tuple of such",
        _is_seed,
        lambda value: all(each >= 0 for each in (value if type(value) is tuple else (value,))),
    ),
}
"""What the names of types say that are `Any`, or unions, to a type checker."""
