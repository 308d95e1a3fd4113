import * as React from 'react';

import { serviceURL } from '../api';
import { isRunning } from '../status';
import { CommandIDs } from '../tokens';
import type { IService, ISession } from '../types';
import type { IPanelEnv } from './env';
import { RowLink, RowLinks } from './rowparts';

interface ILinkProps {
  env: IPanelEnv;
  session: ISession;
  service: IService;
}

function ServiceLink({ env, session, service }: ILinkProps): JSX.Element {
  const { baseUrl, commands, trans } = env;
  const enabled = isRunning(session);
  const href = enabled ? serviceURL(service.url, baseUrl) : null;
  const why = enabled
    ? trans.__('Has no address that a browser can open')
    : trans.__('Opens once the session is running');
  const label = service.title || service.name;
  const open = service.ended
    ? trans.__('%1: %2', label, service.ended)
    : trans.__('Open %1 in a new tab', label);
  const { backend, id } = session;
  const args = { backend, id, service: service.name };
  return (
    <RowLink
      label={label}
      title={href ? open : why}
      href={href}
      onClick={
        href
          ? () => void commands.execute(CommandIDs.openService, args)
          : undefined
      }
    />
  );
}

interface ISessionProps {
  env: IPanelEnv;
  session: ISession;
}

function NotebookLink({ env, session }: ISessionProps): JSX.Element | null {
  const { commands, trans } = env;
  const { backend, id, name } = session;
  const open = (): void =>
    void commands.execute(CommandIDs.openNotebook, { backend, id });
  return (
    <RowLink
      label={trans.__('Open notebook')}
      title={trans.__('Open a new notebook that runs in %1', name)}
      onClick={open}
    />
  );
}

interface ILinksProps extends ISessionProps {
  hasNotebook: boolean;
}

/** The links of a session to a notebook and to services. */
export function ServiceLinks(props: ILinksProps): JSX.Element | null {
  const { env, session, hasNotebook } = props;
  const services = session.services ?? [];
  if (services.length === 0 && !hasNotebook) {
    return null;
  }
  return (
    <RowLinks>
      {hasNotebook && <NotebookLink env={env} session={session} />}
      {services.map(service => (
        <ServiceLink
          key={service.name}
          env={env}
          session={session}
          service={service}
        />
      ))}
    </RowLinks>
  );
}
