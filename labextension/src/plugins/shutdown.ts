import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import { enumerate } from '../commands/affected';
import { isNameOfSession, kernelOf } from '../kernels';
import { othersAt } from '../collaborators';

/**
 * Ask before a kernel is shut down that other people use, too.
 *
 * JupyterLab has no signal before it shuts a kernel down. Its menu, its palette
 * and "Close and Shut Down" all call this method of the notebook's context.
 */
function askFirst(
  panel: NotebookPanel,
  isOnSession: (kernel: string) => boolean,
  trans: TranslationBundle
): void {
  const { sessionContext } = panel;
  const shutDown = sessionContext.shutdown.bind(sessionContext);
  sessionContext.shutdown = async () => {
    const others = othersAt(panel.context.model.sharedModel);
    const kernel = sessionContext.session?.kernel?.name ?? '';
    if (others.length > 0 && isOnSession(kernel)) {
      const { button } = await showDialog({
        title: trans.__('Shut down the kernel of %1?', panel.title.label),
        body: trans.__(
          'It is open for %1, too. Its variables are lost for all of you.',
          enumerate(others, trans)
        ),
        buttons: [
          Dialog.cancelButton(),
          Dialog.warnButton({ label: trans.__('Shut Down') })
        ]
      });
      if (!button.accept) {
        return;
      }
    }
    await shutDown();
  };
}

/** Names the other people who have a notebook open before its kernel is shut down. */
export const shutdownPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-sessions:shared-shutdown',
  description:
    'Says who else has a notebook open when its kernel on a session is shut down.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ): void => {
    const { kernelspecs } = app.serviceManager;
    const trans = (translator ?? nullTranslator).load('jupyter_sessions');
    const isOnSession = (name: string): boolean =>
      isNameOfSession(name) || !!kernelOf(kernelspecs.specs?.kernelspecs[name]);
    tracker.widgetAdded.connect((_, panel) =>
      askFirst(panel, isOnSession, trans)
    );
  }
};
