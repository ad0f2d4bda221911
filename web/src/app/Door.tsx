/** The frame of pages for people who are not signed in. */
import { Card, Flex, Typography } from "antd";
import type { ReactNode } from "react";
import { useDocumentTitle } from "../ui";
import { LanguageSwitch, ThemeSwitch } from "./TopBar";

export function Door({ title, intro, children }: { title: string; intro?: ReactNode; children: ReactNode }) {
  useDocumentTitle(title);
  return (
    <div className="door">
      <header className="door-bar">
        <LanguageSwitch />
        <ThemeSwitch />
      </header>
      <main>
        <Flex justify="center" className="brand">
          <span className="brand-mark" aria-hidden="true" /> Plinth
        </Flex>
        <Card>
          <Typography.Title level={1}>{title}</Typography.Title>
          {intro && <Typography.Paragraph type="secondary">{intro}</Typography.Paragraph>}
          {children}
        </Card>
      </main>
    </div>
  );
}
