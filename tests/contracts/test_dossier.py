"""The dossier of the contracts (R-32) is that of these sources, and every function says what it does."""

import pytest

from issuer.chain.compiler import Compilation
from scripts import dossier


def test_the_dossier_is_current(compilation: Compilation) -> None:
    """After a change of the contracts: make dossier."""
    assert dossier.DOSSIER.read_text() == dossier.dossier(compilation)


@pytest.mark.parametrize("name", ["OffshoreYuan", "Minter", "ReserveFeed", "Authority", "Bootstrap", "Settlement"])
def test_every_function_says_what_it_does(compilation: Compilation, name: str) -> None:
    assert dossier.undocumented(compilation.contracts[name]) == []


def test_the_token_follows_the_standards_that_it_claims(compilation: Compilation) -> None:
    text = dossier.dossier(compilation)
    token = text[text.index("## OffshoreYuan") : text.index("### Functions", text.index("## OffshoreYuan"))]
    claimed = ("ERC-20", "ERC-2612", "ERC-3009", "ERC-5267", "ERC-165", "ERC-7572")
    assert [standard for standard in claimed if standard not in token] == []
