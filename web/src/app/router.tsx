/** Addresses under /console/. Pages come from the registry; those for strangers are below. */
import { lazy, Suspense, type ComponentType } from "react";
import { createBrowserRouter, Outlet, type RouteObject } from "react-router";
import { connection } from "../api";
import { addTexts } from "../i18n";
import { Loading } from "./Loading";
import { NotFound } from "./NotFound";
import { Root } from "./Root";
import { Shell } from "./Shell";
import { pages, type PageModule } from "../pages/registry";

const doors: Record<string, () => Promise<PageModule>> = {
  signin: () => import("../pages/signin"),
  setup: () => import("../pages/setup"),
  invite: () => import("../pages/invite"),
  reset: () => import("../pages/reset"),
};

function lazyPage(name: string, load: () => Promise<PageModule>): ComponentType {
  return lazy(async () => {
    const module = await load().catch(async (error: unknown) => {
      if (!connection.isLost()) throw error;
      await connection.restored();
      return load();
    });
    addTexts(name, module.texts);
    return { default: module.default };
  });
}

function door(name: string, load: () => Promise<PageModule>): RouteObject {
  const Page = lazyPage(name, load);
  return {
    path: name,
    element: (
      <Suspense fallback={<Loading />}>
        <Page />
      </Suspense>
    ),
  };
}

const inside: RouteObject[] = pages.map((page) => {
  const Page = lazyPage(page.name, page.load);
  return page.path === "" ? { index: true, element: <Page /> } : { path: `${page.path}/*`, element: <Page /> };
});

export const router = createBrowserRouter(
  [
    {
      element: (
        <Root>
          <Outlet />
        </Root>
      ),
      children: [
        ...Object.entries(doors).map(([name, load]) => door(name, load)),
        { path: "/", element: <Shell />, children: [...inside, { path: "*", element: <NotFound /> }] },
      ],
    },
  ],
  { basename: "/console" },
);
