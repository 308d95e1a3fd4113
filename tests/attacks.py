"""The attacks that were tried on this project, each with the tests that try them again.

`pytest -m security` runs those of the default tier, with `--faults --interop` all of them. `test_attacks`
fails if one of these tests is no longer there.
"""

from __future__ import annotations

ATTACKS: dict[str, tuple[str, ...]] = {
    "another user listens on a session's port": (
        "faults/test_port_takeover.py::test_who_binds_first_or_toggles_is_shown_to_nobody",
        "manager/runtime/test_peers.py::test_another_user_is_found_out",
        "manager/runtime/test_peers.py::test_another_user_who_waits_for_a_byte_gets_none",
        "manager/runtime/test_peers.py::test_nothing_is_believed_before_it_is_accepted",
        "manager/core/test_mounts.py::test_ports",
    ),
    "another user listens on the TCP ports of a kernel": (
        "manager/endpoints/test_tcp_forwarder.py::test_a_stranger_who_has_a_port_first_is_told_nothing",
        "manager/endpoints/test_tcp_forwarder.py::test_a_stranger_who_takes_a_port_over_is_told_nothing",
    ),
    "another user listens where a manager was, or a page reaches one by another name": (
        "manager/test_addresses.py::test_what_is_caught_at_an_earlier_address_opens_nothing",
        "manager/test_addresses.py::test_this_users_own_managers_are_no_further_backends",
        "manager/test_addresses.py::test_no_port_is_taken_twice",
        "manager/test_addresses.py::test_other_names_are_refused",
    ),
    "a backend answers without end": (
        "backends/test_hostile_answers.py::test_anything_anywhere_is_understood_or_refused",
        "faults/test_hostile_servers.py::test_too_much_is_left_out_and_others_go_on",
        "faults/test_hostile_servers.py::test_an_encoding_of_texts_that_decompresses_is_not_used",
        "faults/test_hostile_servers.py::test_events_without_an_end",
        "faults/test_hostile_servers.py::test_messages_of_a_run_that_are_too_much",
    ),
    "a spec without end": (
        "manager/test_hostile_input.py::test_a_spec_is_of_bounded_size",
        "manager/test_hostile_input.py::test_a_large_spec_stops_nobody",
        "server/test_refusals.py::test_a_spec_is_of_bounded_size",
        "server/test_refusals.py::test_so_many_variables_stop_nobody",
    ),
    "half-sent requests": (
        "faults/test_floods.py::test_half_sent_requests_take_no_manager_down",
        "manager/test_connections.py::test_half_a_request_is_closed",
        "manager/test_connections.py::test_requests_are_served_in_a_flood",
        "manager/test_connections.py::test_a_log_is_bounded",
    ),
    "downloads that nobody reads, processes without end": (
        "manager/test_files.py::test_downloads_that_nobody_reads_stop_no_other",
        "faults/test_session_limits.py::test_a_session_that_starts_processes_without_end",
        "manager/runtime/test_limits.py::test_processes_and_threads_are_limited",
    ),
    "requests that no client sends": (
        "manager/test_hostile_input.py::test_what_is_nested_too_deep",
        "manager/test_hostile_input.py::test_an_upload_into_folders_without_end",
        "manager/test_hostile_input.py::test_a_length_that_is_no_number",
        "manager/test_deep_files.py::test_requests_that_are_not_answered",
        "server/test_refusals.py::test_what_is_nested_too_deep_is_refused",
        "manager/run/test_services.py::test_only_declared_services_are_reached",
    ),
    "a page of another user of a hub": (
        "interop/test_jupyterhub.py::test_a_neighbours_page_cannot_drive_a_session",
        "server/proxy/test_proxy_shared_origin.py::test_no_other_persons_page_may_ask",
        "server/proxy/test_proxy_shared_origin.py::test_no_form_of_another_persons_page_may_act",
        "server/proxy/test_proxy_shared_origin.py::test_no_other_persons_page_opens_a_websocket",
    ),
    "another user takes a path, or reads what all may read": (
        "wire/test_places.py::test_who_takes_the_path_of_the_sockets_keeps_nobody_from_starting",
        "wire/test_places.py::test_nor_who_takes_the_path_of_the_state",
        "wire/test_places.py::test_names_of_run_folders_cannot_be_foretold",
        "wire/test_unix_http.py::test_nothing_is_sent_to_another_user",
        "faults/test_tidied_up.py::test_another_user_is_quicker",
        "faults/test_other_users.py::test_another_user_reaches_nothing",
        "faults/test_other_users.py::test_processes_tell_no_secret",
    ),
    "a session is given several JupyterLabs": ("faults/test_services.py::test_one_jupyter_for_all_who_ask",),
}
