import {
  CommandToolbarButton,
  ReactWidget,
  SidePanel,
  Toolbar
} from '@jupyterlab/ui-components';
import type { ITranslator } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Panel } from '@lumino/widgets';
import * as React from 'react';

import { Announcer } from '../announce';
import { sessionsIcon } from '../icons';
import { CommandIDs, PANEL_ID } from '../tokens';
import { PanelContent } from './content';
import type { IPanelEnv } from './env';
import { LiveRegion } from './liveregion';

/** Renders the model at most once a frame, and only while visible. */
class SessionsView extends ReactWidget {
  constructor(private readonly _env: IPanelEnv) {
    super();
    this.addClass('jp-Sessions-view');
    _env.model.changed.connect(this._schedule, this);
    _env.kernels.changed.connect(this._schedule, this);
  }

  override dispose(): void {
    cancelAnimationFrame(this._frame);
    super.dispose();
  }

  protected override render(): JSX.Element {
    return <PanelContent env={this._env} />;
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.update();
  }

  private _schedule(): void {
    if (this._frame === 0 && this.isVisible) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this.update();
      });
    }
  }

  private _frame = 0;
}

/** The delay after a change before the free capacity is fetched again. */
const CAPACITY_DELAY = 1000;

/** How long after an interaction the panel counts as being watched. */
const WATCH_MS = 60_000;

/** The side panel "Compute sessions". */
export class SessionsPanel extends SidePanel {
  constructor(
    private readonly _env: IPanelEnv,
    translator: ITranslator
  ) {
    super({ content: new Panel(), translator });
    const { trans } = _env;
    this.id = PANEL_ID;
    this.addClass('jp-Sessions-panel');
    this.title.icon = sessionsIcon;
    this.title.caption = trans.__('Compute sessions');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Compute sessions'));
    this._fillToolbar();
    this.content.addWidget(new SessionsView(_env));
    const region = new LiveRegion();
    this.content.addWidget(region);
    const say = (words: string): void => region.say(words);
    this._announcer = new Announcer(_env.model, trans, say);
    _env.model.changed.connect(this._updateCapacity, this);
    this.node.addEventListener('pointerenter', () => this._markWatched());
  }

  override dispose(): void {
    clearTimeout(this._timer);
    this._announcer.dispose();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._markWatched();
    this._updateCapacity();
  }

  private _fillToolbar(): void {
    const { commands, trans } = this._env;
    const create = { commands, id: CommandIDs.create };
    const refresh = { commands, id: CommandIDs.refresh, label: '' };
    this.toolbar.node.setAttribute('aria-label', trans.__('Sessions'));
    this.toolbar.addItem('create', new CommandToolbarButton(create));
    this.toolbar.addItem('spacer', Toolbar.createSpacerItem());
    this.toolbar.addItem('refresh', new CommandToolbarButton(refresh));
  }

  /** Tell the server that somebody watches, as it polls backends less often otherwise. */
  private _markWatched(): void {
    if (Date.now() - this._watchedAt > WATCH_MS) {
      this._watchedAt = Date.now();
      void this._env.model.resync();
    }
  }

  /** Update the free capacity after changes of sessions while the panel is visible. */
  private _updateCapacity(): void {
    const { model } = this._env;
    if (
      this._timer ||
      !this.isVisible ||
      model.revision === this._capacityRevision
    ) {
      return;
    }
    const delay = this._capacityRevision < 0 ? 0 : CAPACITY_DELAY;
    this._timer = window.setTimeout(() => {
      this._timer = 0;
      this._capacityRevision = model.revision;
      void model.loadBackends();
    }, delay);
  }

  private readonly _announcer: Announcer;
  private _timer = 0;
  private _capacityRevision = -1;
  private _watchedAt = 0;
}
