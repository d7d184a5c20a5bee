"""Every text of the customer's pages, in English and in Simplified Chinese, in words that need no lawyer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.console.customer.record_words import RECORD_WORDS
from gateway.console.words import LANGUAGES

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("My consents", "我的个人信息授权"),
    "skip": ("Skip to content", "跳到正文"),
    "language": ("Language", "语言"),
    "nav": ("Pages", "页面"),
    "nav_overview": ("Who has what", "谁在使用"),
    "nav_history": ("History", "使用记录"),
    "nav_suggestions": ("Suggestions", "个性化推荐"),
    "nav_rights": ("Rights", "我的权利"),
    "leave": ("Leave", "退出"),
    "footer": (
        "No account, no tracking. What you decide here counts at once.",
        "无需注册，不作追踪。您在此作出的决定立即生效。",
    ),
    "entry": ("See and decide who may use your data", "查看并决定谁可以使用您的信息"),
    "entry_lead": (
        "Enter the phone number or e-mail address that a company knows you by. You get a link to a page of your own.",
        "请输入您在相关企业登记的手机号或邮箱。您将收到一个链接，通往您的个人页面。",
    ),
    "entry_contact": ("Phone number or e-mail address", "手机号或邮箱"),
    "entry_send": ("Send me a link", "发送链接"),
    "sent": ("Please look at your messages", "请查看短信或邮箱"),
    "sent_lead": (
        "If we know this number or address, a link is on its way. It is good for 72 hours.",
        "如果该手机号或邮箱已登记，您将很快收到链接。链接 72 小时内有效。",
    ),
    "sent_alike": (
        "For an unknown one this page says the same, so that nobody can find out who is a customer.",
        "未登记的号码也会看到同样的提示，以免他人借此探知谁是客户。",
    ),
    "sent_nothing": (
        "Nothing arrived? Check the number and try again, or ask the company.",
        "没有收到？请核对号码后重试，或联系相关企业。",
    ),
    "back_to_entry": ("Back to the start", "返回首页"),
    "landing": ("Is this you?", "请确认是您本人"),
    "landing_asker": (
        "{name} asks for your decision about your data. Opening this page decides nothing.",
        "{name}就您的个人信息征求您的意见。打开本页不代表您作出任何决定。",
    ),
    "landing_own": (
        "You asked for this link to your own page. Opening it changes nothing.",
        "这是您申请的个人页面链接。打开本页不会作出任何更改。",
    ),
    "landing_how": (
        "To be sure that it is you, we send a code of six digits to the phone or address that got this link.",
        "为确认是您本人，我们将向收到此链接的手机或邮箱发送 6 位验证码。",
    ),
    "landing_not_you": ("Not meant for you? Just close the page.", "如果不是发给您的，直接关闭本页即可。"),
    "landing_send": ("Send me the code", "获取验证码"),
    "code": ("Enter the code", "输入验证码"),
    "code_lead": (
        "The code has six digits and is good for ten minutes. Nobody from a company will ever ask you for it.",
        "验证码为 6 位数字，10 分钟内有效。任何企业的工作人员都不会向您索要验证码。",
    ),
    "code_label": ("Code of six digits", "6 位验证码"),
    "code_go": ("Continue", "继续"),
    "code_again": ("Send a new code", "重新发送验证码"),
    "code_wrong": (
        "This code is not right. Look at the newest message, or get a new code.",
        "验证码有误。请查看最新一条消息，或重新获取。",
    ),
    "code_wait": (
        "No new code was sent: one a minute, and a few a day. Look at your newest message, or wait a minute.",
        "未发送新验证码：每分钟只能发送一次，且每天次数有限。请查看最新一条消息，或稍后再试。",
    ),
    "code_over": (
        "This code cannot be used any more: it is too old, or there were too many tries. Get a new one.",
        "该验证码已失效：可能已过期，或输错次数过多。请重新获取。",
    ),
    "question": ("Your decision", "请您决定"),
    "question_lead": (
        "You are free to say no. You lose nothing that you already have, and you can change your mind at any time.",
        "您可以拒绝。无论作何决定，都不影响您已有的服务，并且随时可以更改。",
    ),
    "question_no": (
        "A no also ends what you agreed to before for the same company and purpose.",
        "选择不同意，也会终止您此前就同一接收方和同一用途作出的同意。",
    ),
    "question_guardian": (
        "You answer as the parent or guardian of a child under 14. Say yes only if you are.",
        "您正以未满十四周岁儿童的父母或其他监护人身份作答。如果您不是监护人，请勿同意。",
    ),
    "question_left": (
        "Decisions that wait for you: {count}. Each stands for itself.",
        "待您决定的事项共 {count} 项，各项互相独立。",
    ),
    "refuse_all": ("No to everything", "全部不同意"),
    "refuse_all_hint": ("Answers every question on this page with no.", "对本页全部事项选择不同意。"),
    "question_none": ("Nothing waits for your decision.", "没有需要您决定的事项。"),
    "item_disclosure": ("May {recipient} receive data about you?", "是否同意{recipient}接收您的个人信息？"),
    "item_contact": ("May {recipient} contact you?", "是否同意{recipient}与您联系？"),
    "fact_recipient": ("Who receives it", "接收方"),
    "fact_recipient_contact": ("How to reach them", "接收方联系方式"),
    "fact_provider": ("Who passes it on", "提供方"),
    "fact_provider_contact": ("How to reach them", "提供方联系方式"),
    "fact_purpose": ("What for", "使用目的"),
    "fact_method": ("How it is used", "处理方式"),
    "fact_retention": ("Until when it is kept", "保存期限"),
    "fact_term": ("Until when your yes holds", "同意有效期"),
    "fact_storage": ("Where it is kept", "存储地点"),
    "fact_cross_border": ("Why it may leave the country", "出境依据"),
    "fact_consequences": ("What follows for you", "对您的影响"),
    "fact_security": ("How it is protected", "保护措施"),
    "fact_automated": ("What machines decide", "自动化决策"),
    "fact_withdrawal": ("How to withdraw", "撤回方式"),
    "fact_rights": ("Your rights", "您的权利"),
    "fact_rights_contact": ("Whom to turn to", "权利受理渠道"),
    "period_D": ("{count} days", "{count} 天"),
    "period_W": ("{count} weeks", "{count} 周"),
    "period_M": ("{count} months", "{count} 个月"),
    "period_Y": ("{count} years", "{count} 年"),
    "period_1D": ("1 day", "1 天"),
    "period_1W": ("1 week", "1 周"),
    "period_1M": ("1 month", "1 个月"),
    "period_1Y": ("1 year", "1 年"),
    "after_deleted": ("{period}, then deleted", "{period}，期满删除"),
    "after_anonymised": ("{period}, then made anonymous", "{period}，期满匿名化"),
    "after_returned": ("{period}, then given back", "{period}，期满返还"),
    "ground_security_assessment": ("Security assessment, {number}", "数据出境安全评估，{number}"),
    "ground_standard_contract": ("Standard contract, {number}", "个人信息出境标准合同，{number}"),
    "ground_certification": ("Certification, {number}", "个人信息保护认证，{number}"),
    "ground_exempt": ("Exempt, {number}", "豁免情形，{number}"),
    "country_CN": ("China", "中国"),
    "item_notice": ("Notice", "告知书"),
    "item_version": ("{name}, version {version}", "{name}，第 {version} 版"),
    "item_required": ("If you say yes, this is passed on", "如果同意，将提供以下信息"),
    "item_optional": ("Only if you tick it", "以下信息由您自选"),
    "item_optional_hint": (
        "Nothing is ticked. Leave it so, and it stays where it is.",
        "默认均未勾选。不勾选即不提供，不影响其他内容。",
    ),
    "item_channels": ("By which ways?", "可通过哪些方式联系您？"),
    "item_channels_hint": ("Tick at least one if you say yes.", "如果同意，请至少勾选一种。"),
    "item_sensitive": ("sensitive", "敏感信息"),
    "item_impact": ("What it could mean for you: {impact}", "对您的影响：{impact}"),
    "channel_sms": ("Text message", "短信"),
    "channel_phone": ("Phone call", "电话"),
    "channel_email": ("E-mail", "电子邮件"),
    "channel_post": ("Letter", "信函"),
    "channel_wechat": ("WeChat", "微信"),
    "channel_app": ("Message in an app", "应用内消息"),
    "answer_give": ("Yes, I agree", "同意"),
    "answer_refuse": ("No", "不同意"),
    "answer_later": ("Decide later", "稍后决定"),
    "choose_channel": (
        "You said yes without ticking a way. Tick at least one, or say no. Nothing has been decided yet.",
        "您选择了同意，但没有勾选联系方式。请至少勾选一种，或选择不同意。目前尚未作出决定。",
    ),
    "choose_answer": (
        "Nothing has been decided yet. Please press one of the three answers.",
        "目前尚未作出决定。请点选三个答复中的一个。",
    ),
    "done_given": (
        "Your yes is recorded. You find it below, and can withdraw it at any time.",
        "已记录您的同意。您可在下方查看，并随时撤回。",
    ),
    "done_refused": ("Your no is recorded. Nothing is passed on for it.", "已记录您的拒绝。不会据此提供任何信息。"),
    "done_later": ("Nothing was decided. The question stays here.", "尚未作出决定，您可以稍后再回到这里。"),
    "done_withdrawn": (
        "Withdrawn. From now on nothing more is passed on under it. Whoever received it is told to stop; see below.",
        "已撤回。从此刻起不再据此提供任何信息。已接收信息的企业将收到停止使用的通知，进展见下方。",
    ),
    "done_switched_off": (
        "Switched off. From now on no suggestions are made from your data.",
        "已关闭。从此刻起不再使用您的信息作个性化推荐。",
    ),
    "done_switched_on": (
        "Switched on. Suggestions may be made from what you have agreed to, and from nothing else.",
        "已开启。仅会使用您已同意的信息作个性化推荐。",
    ),
    "done_asked": ("It is on its way. Its number: {number}", "已提交，编号：{number}"),
    "done_retracted": (
        "Taken back. Consents that were paused for it count again, unless another of your requests pauses them.",
        "已撤回。您的同意如曾因此暂停，现已恢复生效；如另有请求仍在限制，则继续暂停。",
    ),
    "done_left": ("You have left. Nobody can go on with this page.", "您已退出，他人无法继续使用此页面。"),
    **RECORD_WORDS,
    "when": ("{day} {month} {year}, {time} (Beijing time)", "{year}年{month}月{day}日 {time}（北京时间）"),
    "refused": ("That did not work", "操作未成功"),
    "refused_visit": (
        "Your visit is over, or has not begun. Enter your number once more and you get a new link.",
        "访问已结束或尚未开始。请重新输入手机号或邮箱获取新链接。",
    ),
    "refused_link": (
        "This link is not good any more, or never was. Links are good for 72 hours, until they are answered.",
        "链接无效或已失效。链接 72 小时内有效，作答后即失效。",
    ),
    "refused_missing": ("There is nothing here for you.", "此处没有您可查看的内容。"),
    "refused_form": (
        "The page was too old, or was not sent from here. Open it once more and try again.",
        "页面已过期，或不是从本站提交。请重新打开后再试。",
    ),
    "refused_attempts": ("Too many attempts. Please wait a few minutes.", "尝试次数过多，请稍候几分钟。"),
    "refused_unavailable": (
        "The gateway cannot answer now. Nothing was lost; please try again shortly.",
        "系统暂时无法响应，内容未丢失，请稍后重试。",
    ),
    "refused_partly": (
        "Not everything could be done. Nothing was lost; what was done counts. Look at what is left, and try again.",
        "未能全部完成。内容未丢失，已完成的部分立即生效。请查看未完成的部分，稍后重试。",
    ),
    "refused_changed": (
        "Something has changed meanwhile, so nothing was done. Look at the page once more and decide again.",
        "相关内容已有变化，本次操作未执行。请重新查看后再决定。",
    ),
    "refused_other": ("This could not be accepted. Nothing was changed.", "未能受理，未作任何更改。"),
    "refused_contact": (
        "This is no phone number or e-mail address. Please look at it again.",
        "手机号或邮箱格式有误，请检查后重新输入。",
    ),
    "error_code": ("Code", "代码"),
}

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def say(language: str, key: str, **values: str) -> str:
    """The text of a key in one of `LANGUAGES`, with its places filled; an unknown key is a KeyError."""
    text = WORDS[key][list(LANGUAGES).index(language)]
    return text.format(**values) if values else text


def month(language: str, number: int) -> str:
    """A month as the language writes it in a date."""
    return _MONTHS[number - 1] if language == "en" else str(number)
