import * as React from 'react';

import { serviceURL } from '../api';
import { isRunning } from '../status';
import { CommandIDs } from '../tokens';
import type { IService, ISession } from '../types';
import type { IPanelEnv } from './env';
import { RowLink, RowLinks } from './rowparts';

interface ILinkProps {
  env: IPanelEnv;
  service: IService;
  enabled: boolean;
}

function ServiceLink({ env, service, enabled }: ILinkProps): JSX.Element {
  const { baseUrl, trans } = env;
  const href = enabled ? serviceURL(service.url, baseUrl) : null;
  const why = enabled
    ? trans.__('Has no address that a browser can open')
    : trans.__('Opens once the session is running');
  const title = href ? trans.__('Open %1 in a new tab', service.name) : why;
  return <RowLink label={service.name} title={title} href={href} />;
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

/** What a session offers: notebooks, and services to a browser. */
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
          service={service}
          enabled={isRunning(session)}
        />
      ))}
    </RowLinks>
  );
}
