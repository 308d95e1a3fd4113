"""What may befall sessions, notebooks and managers. Run with `pytest tests/faults --faults`."""

from tests.browser.conftest import chromium as chromium
from tests.browser.conftest import lab as lab
from tests.browser.conftest import page as page
from tests.browser.conftest import tab as tab
from tests.kernels.conftest import jupyter as jupyter
