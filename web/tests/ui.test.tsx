import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { App, Form, Input } from "antd";
import type { ReactNode } from "react";
import { MemoryRouter } from "react-router";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { ApiError, ConnectionLost, type ListPage, type PageRequest } from "../src/api";
import { startTexts } from "../src/i18n";
import { ApiForm, ConfirmDanger, ServerTable } from "../src/ui";

beforeAll(async () => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: vi.fn(), removeEventListener: vi.fn(), addListener: vi.fn(), removeListener: vi.fn() }));
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
  localStorage.setItem("plinth.language", "en");
  await startTexts();
});

afterEach(cleanup);

function show(node: ReactNode) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <MemoryRouter>
        <App>{node}</App>
      </MemoryRouter>
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

const refusal = (param: string | null) => new ApiError("That address is taken.", 409, "email_taken", param, null, null);

function form(onSubmit: () => Promise<unknown>) {
  return (
    <ApiForm<{ email: string }> submit="Send" onSubmit={onSubmit}>
      <Form.Item name="email" label="Email">
        <Input />
      </Form.Item>
    </ApiForm>
  );
}

it("puts the API's sentence beside the field it is about, and keeps what was typed", async () => {
  const user = show(form(() => Promise.reject(refusal("email"))));
  await user.type(screen.getByLabelText(/Email/), "a@b.c");
  await user.click(screen.getByRole("button", { name: "Send" }));
  const sentence = await screen.findByText("That address is taken.");
  expect(sentence.closest(".ant-form-item")).not.toBeNull();
  expect(screen.getByLabelText<HTMLInputElement>(/Email/).value).toBe("a@b.c");
}, 20_000);

it("shows above the form what belongs to no field, and a lost connection", async () => {
  const submit = vi.fn().mockRejectedValueOnce(refusal("organization")).mockRejectedValueOnce(new ConnectionLost());
  const user = show(form(submit));
  await user.click(screen.getByRole("button", { name: "Send" }));
  expect((await screen.findByRole("alert")).textContent).toContain("That address is taken.");
  await waitFor(() => expect(screen.getByRole("button", { name: /Send/ }).className).not.toContain("loading"));
  await user.click(screen.getByRole("button", { name: /Send/ }));
  expect(await screen.findByText(/What you typed is still here/)).toBeTruthy();
}, 20_000);

it("goes through a cursor list page by page and back", async () => {
  const asked: (string | undefined)[] = [];
  const fetchPage = ({ after, limit }: PageRequest): Promise<ListPage<{ id: string }>> => {
    asked.push(after);
    const from = after === undefined ? 0 : Number(after) + 1;
    const data = Array.from({ length: Math.min(limit, 45 - from) }, (_, index) => ({ id: String(from + index) }));
    return Promise.resolve({ data, last_id: data.at(-1)?.id ?? null, has_more: from + limit < 45 });
  };
  const columns = [{ key: "id", title: "Number", render: (row: { id: string }) => `row ${row.id}` }];
  const user = show(
    <ServerTable label="Rows" queryKey={["rows"]} fetchPage={fetchPage} rowKey={(row) => row.id} columns={columns} empty="none" />,
  );
  await screen.findByText("row 0");
  await user.click(screen.getByRole("button", { name: "Next page" }));
  await screen.findByText("row 20");
  await user.click(screen.getByRole("button", { name: "Next page" }));
  await screen.findByText("row 44");
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Next page" }).disabled).toBe(true);
  await user.click(screen.getByRole("button", { name: "Previous page" }));
  await screen.findByText("row 20");
  expect(asked.slice(0, 3)).toEqual([undefined, "19", "39"]);
}, 30_000);

it("deletes only after saying what it touches and typing the name", async () => {
  const onConfirm = vi.fn().mockResolvedValue(undefined);
  const user = show(
    <ConfirmDanger action="Archive" title="Archive it?" touches={["all its keys"]} typeToConfirm="Bank" onConfirm={onConfirm} />,
  );
  await user.click(screen.getByRole("button", { name: "Archive" }));
  await screen.findByText("all its keys");
  const confirm = screen.getAllByRole<HTMLButtonElement>("button", { name: "Archive" }).at(-1);
  expect(confirm?.disabled).toBe(true);
  await user.type(screen.getByRole("textbox"), "Bank");
  await user.click(confirm as HTMLButtonElement);
  await waitFor(() => expect(onConfirm).toHaveBeenCalledOnce());
}, 20_000);
