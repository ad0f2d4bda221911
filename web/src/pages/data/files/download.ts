/** Saves what an address answers as a file. A link cannot do it: it would not say which project is meant. */
import { send, type CallOptions } from "../../../api";

// more than this is streamed to the disk where the browser can do that, instead of being collected first
const STREAM_ABOVE_BYTES = 256 * 1024 * 1024;

interface Picker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

export async function download(url: string, name: string, bytes = 0, options: CallOptions = {}): Promise<void> {
  const { showSaveFilePicker } = window as Picker;
  if (bytes > STREAM_ABOVE_BYTES && showSaveFilePicker) {
    const target = await showSaveFilePicker.call(window, { suggestedName: name });
    const response = await send("GET", url, options);
    await response.body?.pipeTo(await target.createWritable());
    return;
  }
  const response = await send("GET", url, options);
  save(await response.blob(), nameIn(response.headers.get("content-disposition")) ?? name);
}

/** The name that a `content-disposition` header gives, if any. */
export function nameIn(disposition: string | null): string | null {
  const found = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  try {
    return found ? decodeURIComponent(found) : null;
  } catch {
    return null;
  }
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // the browser has begun to save by then
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
