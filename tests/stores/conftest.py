"""Let the assertions of the contract say what they compared."""

import pytest

pytest.register_assert_rewrite("tests.stores.store_contract")
