"""The contract of `jupyter_sessions.backends.base.Backend` as tests."""

from __future__ import annotations

from jupyter_sessions.testing.kernel_contract import KernelContract
from jupyter_sessions.testing.session_contract import SessionContract


class BackendContract(SessionContract, KernelContract):
    """All tests of the contract. Subclass it, and override the fixture `backend`.

        class TestLab(BackendContract):
            @pytest.fixture
            def backend(self):
                return Lab("lab", endpoint=…)

    Class attributes say what the backend offers; the tests end the sessions that they create.
    """
