import type { Notification, NotificationManager } from '@jupyterlab/apputils';

/** The part of JupyterLab's notification manager that is used. */
export type INotifier = Pick<
  NotificationManager,
  'has' | 'notify' | 'update' | 'dismiss'
>;

type Kind = Exclude<Notification.TypeOptions, 'in-progress'>;

/** A single notification that is updated in place. */
export class Message {
  constructor(private readonly _notifier: INotifier) {}

  /** Whether the notification is shown and was not dismissed. */
  get isShown(): boolean {
    return this._id !== null && this._notifier.has(this._id);
  }

  show(message: string, type: Kind, actions: Notification.IAction[]): void {
    const options = { autoClose: false as const, actions };
    if (this._id === null || !this.isShown) {
      this._id = this._notifier.notify(message, type, options);
    } else {
      this._notifier.update({ id: this._id, message, type, ...options });
    }
  }

  withdraw(): void {
    if (this._id !== null) {
      this._notifier.dismiss(this._id);
      this._id = null;
    }
  }

  private _id: string | null = null;
}
