"""What HTTP and WebSocket requests to services share: access, routing and errors."""

from __future__ import annotations

import hmac
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from jupyter_core.utils import ensure_async
from jupyter_server._tz import utcnow
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import origin_matches_pat
from tornado import web

from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire.proxy import credentials, headers, target
from jupyter_sessions.wire.proxy.origin import Caller, why_not_act, why_not_read
from jupyter_sessions.wire.proxy.rebase import Rebase

from . import pages, shared_origin
from .contract import INPUTS_KEY, ROOT, SERVICES_KEY, ServiceProvider
from .input import Inputs
from .refusal import EndedRefusal, NoRoomRefusal, NotListening, Refusal

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from jupyter_sessions.model import Endpoint, Service


class ServiceProxyHandler(JupyterHandler):
    """A request to a service of a session."""

    auth_resource = "jupyter_sessions"
    patience = 20.0
    """Seconds that a request waits for a service that does not listen yet."""
    _session_name = ""
    _about: Service | None = None
    _log_end = ""

    @property
    def services(self) -> ServiceProvider:
        """Return the provider of services. Errors: SessionError if the configuration cannot be used."""
        made = self.settings[SERVICES_KEY]
        if isinstance(made, SessionError):
            raise made
        return cast("ServiceProvider", made)

    @property
    def names(self) -> tuple[str, str, str]:
        """Return the backend, session id and service in the path."""
        parts = self.path_kwargs
        return parts["backend"], parts["id"], parts["service"]

    @property
    def prefix(self) -> str:
        """Return the raw path under which browsers see the service, with both slashes."""
        return self._prefix(self.path_kwargs.get("key") or "")

    def _prefix(self, key: str) -> str:
        return self.base_url + ROOT + (f"~{key}/" if key else "") + "/".join(self.names) + "/"

    @cached_property
    def _key(self) -> str:
        """Return the key that the service's path must hold; "" if no other person's page can request the path."""
        return shared_origin.key_of(self)

    @property
    def _has_key(self) -> bool:
        return hmac.compare_digest(self.path_kwargs.get("key") or "", self._key)

    @property
    def proper_prefix(self) -> str:
        """Return `prefix` with the proper key, which differs only if a person followed an old link."""
        return self.prefix if self._caller().by_token else self._prefix(self._key)

    @property
    def rest(self) -> str:
        """Return the raw path within the service; "" without a slash after the service's name."""
        return self.request.path[len(self.prefix) - 1 :]

    @property
    def navigates(self) -> bool:
        """Return whether a person sees the answer as a page."""
        sent = self.request.headers
        return (
            self.request.method == "GET"
            and "text/html" in sent.get("Accept", "")
            and sent.get("Sec-Fetch-Mode", "navigate") == "navigate"
        )

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Return the header fields of the request."""
        return list(self.request.headers.get_all())

    @cached_property
    def credentials(self) -> credentials.ServerCredentials:
        """Return the server's credentials in this request."""
        login_cookie = self.identity_provider.get_cookie_name(self)
        token = getattr(self.identity_provider, "token", None)
        return credentials.find(self.fields, self.request.query, login_cookie, token)

    @property
    def target(self) -> str:
        """Return the request target for the service."""
        return target.target(self.request.path, self.request.query, self.credentials)

    def target_at(self, endpoint: Endpoint) -> str:
        """Return the request target for a service that sees itself at the root, or at a path of its own."""
        if endpoint.at_root:
            return self.target[len(self.prefix) - 1 :]
        return (
            Rebase(endpoint.base_url, self.prefix).target(self.target) if endpoint.base_url else self.target
        )

    def upward_headers(self, endpoint: Endpoint) -> CIMultiDict[str]:
        """Return the header fields for the service."""
        request = self.request
        sender = headers.Sender(request.host, request.remote_ip or "", request.protocol)
        sent = headers.upward(self.fields, sender, self.credentials)
        if endpoint.at_root:
            sent["X-Forwarded-Prefix"] = sent["X-ProxyContextPath"] = self.prefix.rstrip("/")
        sent.update(endpoint.headers)
        return sent

    async def admit(self, action: str, *, safe: bool) -> bool:
        """Authenticate, check the caller, and authorize; return False if the answer is a login page.

        Raises an HTTP error if the request must not pass. All checks happen here, before a service is started or a
        byte of the body is read; the decorators of the verbs run too late.
        """
        await JupyterHandler.prepare(self, _redirect_to_login=self.navigates)
        if self.current_user is None:
            return self._send_to_login()
        caller = self._caller()
        reason = why_not_read(caller) if safe else why_not_act(caller)
        if reason:
            raise Refusal(403, reason, kind="CrossSite", hint="Open the service from Jupyter.")
        if not (caller.by_token or self.navigates or self._has_key):
            raise Refusal(
                403,
                "This request does not come from a page of the service.",
                kind="CrossSite",
                hint="Open the service from Jupyter. Other people's pages share this server's origin.",
            )
        await self._authorize(action)
        if target.climbs(self.rest):
            raise Refusal(400, "The path leaves the service.", kind="BadPath", hint="Leave out the '..'.")
        self.touch()
        return True

    def _send_to_login(self) -> bool:
        if not self.navigates:
            hint = "Log in, or send the server's token."
            raise Refusal(403, "You are not logged in to the Jupyter server.", hint=hint)
        if not self._finished:
            web.authenticated(lambda _: None)(self)
        return False

    async def _authorize(self, action: str) -> None:
        allowed = self.authorizer.is_authorized(self, self.current_user, action, self.auth_resource)
        if not await ensure_async(allowed):
            said = f"You are not authorized to {action} services of sessions."
            raise Refusal(403, said, hint="Ask the server's administrator.")

    def _caller(self) -> Caller:
        sent = self.request.headers
        in_header = "Authorization" in sent and not self.get_query_argument("token", "")
        return Caller(
            sent,
            by_token=in_header and self.token_authenticated,
            listed=self._is_listed(sent.get("Origin", "").lower()),
        )

    def _is_listed(self, origin: str) -> bool:
        """Return whether the server's configuration allows this other origin."""
        if not origin:
            return False
        if self.allow_origin:
            return self.allow_origin == "*" or self.allow_origin.lower() == origin
        return bool(self.allow_origin_pat and origin_matches_pat(self.allow_origin_pat, origin))

    def check_xsrf_cookie(self) -> None:
        """Skip the check: pages of a service do not have the server's XSRF cookie; see `origin`."""

    async def locate(self) -> Endpoint:
        """Return where the service listens or will listen."""
        try:
            return await self.services.open_service(*self.names, base_url=self.prefix)
        except SessionError as error:
            refusal = Refusal.because(error)
            await self._look(log=isinstance(refusal, EndedRefusal))
            raise refusal from error

    async def _look(self, *, log: bool) -> None:
        """Find out what a page for a person says about the service."""
        backend, session, name = self.names
        if not self.navigates:
            return
        try:
            row = await self.services.get(backend, session)
            self._session_name = row.name
            self._about = next((one for one in row.services if one.name == name), None)
        except Exception:
            self.log.debug("nothing is known of service %s", name, exc_info=True)
        try:
            self._log_end = await self.services.service_log(*self.names) if log else ""
        except Exception:
            self.log.debug("no log of service %s", name, exc_info=True)

    def heard(self) -> None:
        """Record that a person uses the session."""
        backend, session, _ = self.names
        inputs: Inputs = self.settings.setdefault(INPUTS_KEY, Inputs())
        inputs.note(self.services, backend, session)

    async def not_listening(self) -> NotListening:
        """Return the refusal for a service that is starting."""
        await self._look(log=True)
        return NotListening(self.names[2], self._session_name or self.names[1])

    def touch(self) -> None:
        """Record activity for the server's culling."""
        self.settings["jupyter_sessions_service_last_activity"] = utcnow()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer people with a page, and programs with `{message, reason, hint?}`."""
        _, error, _ = kwargs.get("exc_info") or (None, None, None)
        refusal = Refusal.of(status_code, error)
        self.set_header("Cache-Control", "no-store")
        if status_code == 503:
            self.set_header("Retry-After", str(pages.RELOAD))
        if self.navigates:
            if isinstance(refusal, NotListening):
                self.set_status(202)  # Browsers would report any other status as a failure.
            # Pages of the same origin could embed this page, and read the key in its address.
            framed = not shared_origin.is_shared(self.base_url, self.request.host)
            self.set_header("Content-Security-Policy", pages.policy(framed=framed))
            self.finish(self._drawn(refusal))
        else:
            self.finish(refusal.to_wire())

    def _drawn(self, refusal: Refusal) -> str:
        backend, session, name = self.names
        place = f"{self.base_url}jupyter-sessions/sessions/{backend}/{session}/services/{name}"
        shown, token = self._session_name or session, self.xsrf_token.decode()
        if isinstance(refusal, NotListening):
            title = f"Starting {(self._about and self._about.title) or name}"
            form = pages.Form(f"{place}?restart=true", token, "Start again")
            port = name.isdigit()
            return pages.waiting(
                refusal.message if port else title, shown, self._about, self._log_end, None if port else form
            )
        if isinstance(refusal, NoRoomRefusal):
            return pages.draw(refusal, form=pages.Form(f"{place}?forced=true", token, "Start anyway"))
        if isinstance(refusal, EndedRefusal):
            return pages.draw(refusal, shown, self._log_end, pages.Form(place, token, "Start again"))
        return pages.draw(refusal)
