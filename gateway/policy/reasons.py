"""What each refusal means, in Chinese and in English: the clause, a title, what helps, and the law where it applies.

A code of the rules has exactly one explanation. It never quotes what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LANGUAGES: Final = ("zh-CN", "en")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One refusal in words. `title` and `remedy` are in the order of `LANGUAGES`; `law` is '' where none applies."""

    clause: str
    title: tuple[str, str]
    remedy: tuple[str, str]
    law: str = ""

    def describe(self) -> dict[str, Any]:
        """As a problem document carries it, beside the code and the clause."""
        said = {"title": _in_each(self.title), "remedy": _in_each(self.remedy)}
        return {**said, "law": self.law} if self.law else said


def _in_each(words: tuple[str, str]) -> dict[str, str]:
    return dict(zip(LANGUAGES, words, strict=True))


def explained(code: str) -> dict[str, Any]:
    """The explanation of a code as a document; empty for a code that is none of an access."""
    found = EXPLANATIONS.get(code)
    return {} if found is None else found.describe()


EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    "CASE_MALFORMED": Explanation(
        "",
        ("请求材料不完整，无法判断", "What is known of the request is not enough to decide"),
        ("请联系网关管理员，并提供事件编号。", "Tell the gateway's administrator the event id."),
    ),
    "NOT_A_PARTY": Explanation(
        "1.2",
        ("请求方不是协议当事人", "Whoever asks is no party to the agreement"),
        ("请使用以贵方为当事人的协议编号。", "Name an agreement that you are a party to."),
    ),
    "NOT_ADMITTED": Explanation(
        "2.2.3",
        ("一方尚未获准加入联盟", "A side has not been admitted to the alliance"),
        ("请先完成资质审核、评估和批准。", "Complete the dossier, the reviews and the approval first."),
    ),
    "QUALIFICATION_EXPIRED": Explanation(
        "2.1.1",
        ("一方的资质证件已过期", "The papers that a side was admitted by have run out"),
        ("请由该方提交有效证件并重新审核。", "That side files valid papers and has them reviewed."),
    ),
    "MEMBER_SUSPENDED": Explanation(
        "9.2.3",
        ("一方已被暂停成员资格", "A side is suspended"),
        ("请等待案件处理；恢复资格须经两名操作员批准。", "Wait for the case; two operators end a suspension."),
    ),
    "CLIENT_REVOKED": Explanation(
        "2.2.3",
        ("该客户端已被吊销或已变更", "The client was revoked, or changed after its token was issued"),
        (
            "请重新获取令牌；如已吊销，请申请登记新的客户端。",
            "Ask for a new token; if the client was revoked, have another registered.",
        ),
    ),
    "AGREEMENT_NOT_IN_FORCE": Explanation(
        "2.3.2",
        ("协议未生效、已终止，或未写明该请求方", "The agreement is not in force, or does not name whoever asks"),
        (
            "请确认双方已签署且在有效期内，或签订新协议。",
            "Have both sides sign it, ask within its term, or sign a new one.",
        ),
        "《民法典》第四百九十条 (Civil Code art. 490)",
    ),
    "TERM_MISSING": Explanation(
        "2.3.1",
        ("协议未约定访问频率，不开放数据接口", "The agreement states no frequency, so that there is no feed"),
        ("请以补充协议约定频率。", "Agree on a frequency by an amendment."),
    ),
    "NOT_OPTED_IN": Explanation(
        "1.3.1",
        ("一方未参加或已退出该共享项目", "A side has not opted in to this share, or has left it"),
        ("请由该方自愿参加；任何一方不得强迫。", "That side opts in, if it wants to; nobody can be made to."),
    ),
    "OUT_OF_SCOPE": Explanation(
        "4.1.2",
        ("超出约定的数据范围", "Outside the agreed scope"),
        (
            "请只请求协议和令牌所载的数据集与字段。",
            "Ask for datasets and fields that the agreement and the token name.",
        ),
    ),
    "METHOD_NOT_AGREED": Explanation(
        "4.1.2",
        ("未约定该访问方式", "The method is not agreed"),
        ("请使用协议约定的方式：接口、文件或推送。", "Use a method of the agreement: api, file or push."),
    ),
    "MESSAGE_SIGNATURE_REQUIRED": Explanation(
        "4.1.2",
        ("协议要求对请求报文签名", "The agreement demands a signed message"),
        ("请按协议所列规范对请求签名。", "Sign the request by the profile that the agreement names."),
    ),
    "FREQUENCY_EXCEEDED": Explanation(
        "4.1.2",
        ("超过约定的访问频率", "More often than agreed"),
        ("请等待下一个时间窗口。", "Wait for the next window."),
    ),
    "VOLUME_EXCEEDED": Explanation(
        "4.1.2",
        ("超过约定的记录数量", "More records than agreed"),
        ("请等待下一个时间窗口，或减少请求的记录数。", "Wait for the next window, or ask for fewer records."),
    ),
    "PURPOSE_UNKNOWN": Explanation(
        "1.1",
        ("用途不在联盟的用途登记表中", "The purpose is not in the alliance's registry"),
        ("请使用已登记的用途。", "Name a purpose of the registry."),
        "《个人信息保护法》第六条 (PIPL art. 6)",
    ),
    "PURPOSE_NOT_AGREED": Explanation(
        "8.2.2",
        ("协议或令牌未包含该用途", "The agreement or the token does not cover this purpose"),
        ("请按约定用途请求，或取得对方书面同意。", "Ask for an agreed purpose, or get the owner's written consent."),
        "《个人信息保护法》第六条 (PIPL art. 6)",
    ),
    "NO_LAWFUL_BASIS": Explanation(
        "1.3.4",
        ("个人信息的处理没有约定合法性基础", "No lawful basis is agreed for this personal data"),
        ("请在协议中写明合法性基础。", "State the lawful basis in the agreement."),
        "《个人信息保护法》第十三条 (PIPL art. 13)",
    ),
    "NOT_NEED_TO_KNOW": Explanation(
        "8.2.1",
        ("该人员不在须知人员名单中", "This person is not on the need-to-know roster"),
        (
            "请由贵方将该人员列入名单，或由名单内人员请求。",
            "Have the person put on the roster, or let one who is on it ask.",
        ),
        "《个人信息保护法》第五十一条 (PIPL art. 51)",
    ),
    "NDA_MISSING": Explanation(
        "8.1.1",
        ("缺少企业或个人保密协议，涉密字段不予提供", "Without both NDAs, confidential fields are not handed out"),
        (
            "请由企业和该人员分别签署保密协议，或只请求公开字段。",
            "Have the company and the person sign NDAs, or ask for public fields alone.",
        ),
        "《民法典》第五百零一条 (Civil Code art. 501)",
    ),
    "DISPUTED_ITEM": Explanation(
        "7.2.3",
        ("该项数据因争议或事件被冻结", "A dispute or an incident holds exactly this"),
        ("请等待案件结束；未涉争议的数据不受影响。", "Wait for the case; what is not disputed goes on."),
    ),
    "CLEARANCE": Explanation(
        "4.1.3",
        (
            "字段分级高于贵方的获准级别，或属重要数据、核心数据",
            "A field is graded above your clearance, or is important or core data",
        ),
        (
            "请只请求获准级别以内的字段；重要数据和核心数据不得共享。",
            "Ask for fields within your clearance; important and core data are never shared.",
        ),
        "《数据安全法》第二十一条 (Data Security Law art. 21); GB/T 43697-2024",
    ),
    "PIA_MISSING": Explanation(
        "1.3.4",
        ("缺少有效的个人信息保护影响评估", "There is no current impact assessment for this personal data"),
        ("请完成评估并取得批准。", "Make the assessment, and have it approved."),
        "《个人信息保护法》第五十五条、第五十六条 (PIPL arts. 55, 56)",
    ),
    "CROSS_BORDER_BLOCKED": Explanation(
        "1.3.4",
        ("数据将出境，但没有出境机制", "The data would cross a border without a transfer mechanism"),
        (
            "请登记有效的出境机制（安全评估、标准合同或认证）。",
            "File a mechanism in force: security assessment, standard contract, or certification.",
        ),
        "《个人信息保护法》第三十八条 (PIPL art. 38)",
    ),
    "ONWARD_CONSENT_MISSING": Explanation(
        "8.2.2",
        ("第三方使用未经数据提供方书面同意", "A third party asks without the owner's written consent to this purpose"),
        ("请由数据提供方签署对该第三方和用途的同意书。", "The owner signs a grant for this third party and purpose."),
        "《个人信息保护法》第二十一条、第二十三条 (PIPL arts. 21, 23)",
    ),
}
