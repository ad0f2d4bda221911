/** Opens what lies over the page from anywhere: the palette and the help sheet. */
type Listener = (open: boolean) => void;

function overlay() {
  let listener: Listener = () => {};
  return {
    open: () => listener(true),
    listen: (next: Listener) => {
      listener = next;
      return () => {
        listener = () => {};
      };
    },
  };
}

export const palette = overlay();
export const shortcutSheet = overlay();
export const openPalette = () => palette.open();
export const openShortcuts = () => shortcutSheet.open();
