import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { titleOf } from '../form/check';
import { formatResources } from '../format';
import { sessionsIcon } from '../icons';
import { CommandIDs, type IKernel } from '../tokens';
import type { IPanelEnv } from './env';
import { IconButton } from './iconbutton';
import { RovingList } from './roving';
import { RowDetails, RowHead, RowLink, RowLinks } from './rowparts';
import { Section } from './section';

interface IKernelProps {
  env: IPanelEnv;
  kernel: IKernel;

  /** Whether the Tab key reaches this row. */
  isCurrent: boolean;
}

/** The image and resources of a kernel's sessions, with the backend if there are several. */
function detailsOf(kernel: IKernel, { model, trans }: IPanelEnv): string {
  const { image, resources, session } = kernel;
  if (session) {
    return trans.__('in the session %1', session);
  }
  const backend = kernel.backend && model.backend(kernel.backend);
  const where = backend && model.backends.length > 1 ? titleOf(backend) : '';
  return [image, formatResources(resources), where].filter(Boolean).join(' · ');
}

function KernelRow({ env, kernel, isCurrent }: IKernelProps): JSX.Element {
  const { commands, trans } = env;
  const { name, title } = kernel;
  const start = (): void =>
    void commands.execute(CommandIDs.startKernel, { name });
  const remove = (): void =>
    void commands.execute(CommandIDs.removeKernel, { name });
  return (
    <li
      className="jp-Sessions-kernel"
      role="row"
      tabIndex={isCurrent ? 0 : -1}
      aria-label={title}
      data-row-key={name}
      data-kernel-name={name}
    >
      <RowHead>
        <sessionsIcon.react tag="span" className="jp-Sessions-kernelIcon" />
        <span className="jp-Sessions-kernelTitle" title={name}>
          {title}
        </span>
        <IconButton
          label={trans.__('Remove kernel')}
          title={trans.__('Remove the kernel %1', title)}
          icon={closeIcon}
          isInRow={true}
          onClick={remove}
        />
      </RowHead>
      <RowDetails>{detailsOf(kernel, env)}</RowDetails>
      {commands.isEnabled(CommandIDs.startKernel, { name }) && (
        <RowLinks>
          <RowLink label={trans.__('Start notebook')} onClick={start} />
        </RowLinks>
      )}
    </li>
  );
}

/** The kernels on sessions that people made. */
export function KernelsGroup({ env }: { env: IPanelEnv }): JSX.Element | null {
  const { saved } = env.kernels;
  const kernels = new Map(saved.map(kernel => [kernel.name, kernel]));
  const title = env.trans.__('Kernels');
  return saved.length > 0 ? (
    <Section
      name="kernels"
      title={title}
      count={saved.length}
      startsOpen={true}
    >
      <RovingList label={title} keys={[...kernels.keys()]}>
        {(name, isCurrent) => (
          <KernelRow
            key={name}
            env={env}
            kernel={kernels.get(name)!}
            isCurrent={isCurrent}
          />
        )}
      </RovingList>
    </Section>
  ) : null;
}
