/** Every icon that a page of the console may have in the navigation, by name. */
import {
  ApiOutlined,
  AppstoreOutlined,
  AuditOutlined,
  BarChartOutlined,
  BookOutlined,
  BranchesOutlined,
  CloudServerOutlined,
  DatabaseOutlined,
  ExperimentOutlined,
  FundOutlined,
  HomeOutlined,
  MessageOutlined,
  ReadOutlined,
  RocketOutlined,
  SafetyOutlined,
  SlidersOutlined,
  TagsOutlined,
  TeamOutlined,
} from "@ant-design/icons";
import type { ReactNode } from "react";

export const icons = {
  home: <HomeOutlined />,
  models: <AppstoreOutlined />,
  data: <DatabaseOutlined />,
  labels: <TagsOutlined />,
  tune: <SlidersOutlined />,
  versions: <BranchesOutlined />,
  evaluate: <ExperimentOutlined />,
  deploy: <RocketOutlined />,
  playground: <MessageOutlined />,
  knowledge: <BookOutlined />,
  assistants: <ApiOutlined />,
  guard: <SafetyOutlined />,
  usage: <BarChartOutlined />,
  value: <FundOutlined />,
  people: <TeamOutlined />,
  audit: <AuditOutlined />,
  system: <CloudServerOutlined />,
  docs: <ReadOutlined />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof icons;
