import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import {
  INotebookTracker,
  NotebookActions,
  type NotebookPanel
} from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import { SessionsApi } from '../api';
import type { IMatch } from '../missed/match';
import { NotebookOutputs, whenAbandoned, whenThere } from '../missed/notebook';
import { ServerOutputs } from '../missed/source';
import { CommandIDs, ISessionsModel } from '../tokens';

/** A notification that offers to insert missed output. */
class Offer {
  constructor(
    private readonly _outputs: NotebookOutputs,
    private readonly _panel: NotebookPanel,
    private readonly _trans: TranslationBundle
  ) {}

  make(missed: IMatch[]): void {
    this._missed = missed;
    if (this._id && Notification.manager.has(this._id)) {
      return;
    }
    const trans = this._trans;
    const name = this._panel.title.label;
    this._id = Notification.info(
      trans.__('%1: some output of its session is not shown.', name),
      {
        autoClose: false,
        actions: [
          {
            label: trans.__('Insert missed output'),
            displayType: 'accent',
            callback: () => this._outputs.insert(this._missed)
          }
        ]
      }
    );
  }

  withdraw(): void {
    if (this._id) {
      Notification.dismiss(this._id);
      this._id = null;
    }
  }

  private _id: string | null = null;
  private _missed: IMatch[] = [];
}

/** Offers to insert output that was printed while a notebook was closed. */
export const missedPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-sessions:missed-output',
  description: 'Inserts what a session printed while its notebook was closed.',
  autoStart: true,
  requires: [INotebookTracker, ISessionsModel],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    model: ISessionsModel,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_sessions');
    const api = new SessionsApi(app.serviceManager.serverSettings);
    const source = new ServerOutputs(api, model);
    const notebooks = new Map<
      NotebookPanel,
      { outputs: NotebookOutputs; offer: Offer }
    >();

    tracker.widgetAdded.connect(async (_, panel) => {
      const outputs = new NotebookOutputs(panel, source);
      const offer = new Offer(outputs, panel, trans);
      notebooks.set(panel, { outputs, offer });
      panel.disposed.connect(() => {
        notebooks.delete(panel);
        offer.withdraw();
        outputs.dispose();
      });
      await panel.revealed;
      const { saved } = outputs;
      const look = (since: number): void => {
        void outputs.find(since).then(
          missed => missed.length > 0 && offer.make(missed),
          error => console.warn('Missed output cannot be found', error)
        );
      };
      whenThere(panel, lost => look(lost ?? saved));
      const abandoned = whenAbandoned(panel, outputs, () => look(Infinity));
      panel.disposed.connect(() => abandoned.dispose());
    });

    NotebookActions.executionScheduled.connect((_, { cell }) =>
      notebooks.forEach(({ outputs }) => outputs.release(cell))
    );

    const command = CommandIDs.insertMissed;
    app.commands.addCommand(command, {
      label: trans.__('Insert missed output'),
      caption: trans.__(
        'Insert output that was printed while the notebook was closed'
      ),
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => tracker.currentWidget !== null,
      execute: async () => {
        const panel = tracker.currentWidget;
        const notebook = panel && notebooks.get(panel);
        if (!notebook) {
          return;
        }
        const { outputs, offer } = notebook;
        const missed = await outputs.find(outputs.saved);
        offer.withdraw();
        outputs.insert(missed);
        if (missed.length === 0) {
          const words = trans.__('No output is missing.');
          Notification.info(words, { autoClose: 3000 });
        }
      }
    });
    palette?.addItem({ command, category: trans.__('Compute sessions') });
  }
};
