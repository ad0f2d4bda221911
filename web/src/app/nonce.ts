/** The nonce that the server put into this page: the content security policy takes no style tag without it. */

export function nonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="plinth-nonce"]')?.content ?? "";
}

/**
 * Ant Design gives the nonce to its own style tags, but helpers below it (the scroll lock of dialogs, the measuring of
 * scroll bars) make some without. Only this page's own scripts can make elements, so that nothing is opened by this.
 */
export function giveStylesTheNonce(): void {
  const value = nonce();
  const create = Reflect.get(Document.prototype, "createElement") as () => HTMLElement;
  Object.assign(document, {
    createElement(tag: string, options?: ElementCreationOptions): unknown {
      const element: unknown = Reflect.apply(create, document, [tag, options]);
      if (element instanceof HTMLStyleElement) element.nonce = value;
      return element;
    },
  });
}
